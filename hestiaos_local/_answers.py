"""What an executor has given so far."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from hestiaos_local.execution import Output, Text, Usage
from hestiaos_local.storage import Outcome

__all__ = ["Answer"]


@frozen
class Answer:
    """The texts and the usage among the outputs of one execution."""

    texts: list[str] = field(factory=list)
    usage: list[Usage] = field(factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def add(self, output: Output) -> None:
        match output:
            case Text(text):
                self.texts.append(text)
            case Usage():
                self.usage.append(output)
            case _:
                pass

    def outcome(self, status: Any, seconds: float, error: BaseException | None = None) -> Outcome:
        usage = self.usage[0] if self.usage else None
        return Outcome(
            status,
            seconds * 1000,
            None if usage is None else usage.prompt_tokens,
            None if usage is None else usage.completion_tokens,
            error=None if error is None else getattr(error, "code", type(error).__name__),
        )

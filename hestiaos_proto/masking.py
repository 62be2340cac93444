"""Keeps the API key and secrets out of what is quoted from the other side, which may repeat them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from hestiaos_proto import json

__all__ = ["Mask"]

_QUOTED = 80  # how much of something wrong is quoted, in characters


class Mask:
    """Puts `***` in the place of each secret."""

    def __init__(self, *secrets: str | None) -> None:
        self._plain = {secret for secret in secrets if secret}

    @cached_property
    def _secrets(self) -> list[str]:
        # As it stands inside a JSON string, too. The longest first: one may be the beginning of another.
        spelled = self._plain | {json.dumps(secret).decode()[1:-1] for secret in self._plain}
        return sorted(spelled, key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text`, masked."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def data(self, data: bytes) -> bytes:
        """`data`, masked."""
        for secret in self._secrets:
            data = data.replace(secret.encode(), b"***")
        return data

    def value(self, value: Any) -> Any:
        """A JSON value with every string in it masked, the names too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value

    def error(self, error: BaseException) -> str:
        """What another library's exception says, masked; in the exception too, since a traceback shows it."""
        said = str(error)
        masked = self.text(said)
        if masked != said:
            error.args = (masked,)
        return masked

    def quote(self, data: bytes | bytearray) -> str:
        """The beginning of `data` as an error quotes it."""
        longest = max(map(len, self._secrets), default=0)
        # A secret that the cut goes through has to be seen whole to be masked.
        start = self.text(data[: 4 * (_QUOTED + longest)].decode("utf-8", "replace")).strip()
        return repr(start[:_QUOTED]) + ("…" if len(start) > _QUOTED else "")

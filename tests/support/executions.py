"""An executor asked in each of the ways in which the platform asks one."""

from __future__ import annotations

from contextlib import aclosing, closing

import anyio
from attrs import frozen

from hestiaos_local.execution import Executor, Output, Work, run_executor, run_executor_sync
from hestiaos_proto import StatusError

__all__ = ["WAYS", "Way", "say"]


@frozen
class Way:
    """On asyncio, on trio, or without an event loop."""

    name: str

    def run(self, executor: Executor, work: Work) -> tuple[list[Output], StatusError | None]:
        """What it gives, and the `StatusError` that it raises after that."""
        outputs: list[Output] = []
        try:
            self._collect(executor, work, outputs, None)
        except StatusError as error:
            return outputs, error
        return outputs, None

    def take(self, executor: Executor, work: Work, count: int) -> list[Output]:
        """Its first outputs; then it is closed."""
        outputs: list[Output] = []
        self._collect(executor, work, outputs, count)
        return outputs

    def _collect(self, executor: Executor, work: Work, outputs: list[Output], count: int | None) -> None:
        if self.name == "sync":
            with closing(run_executor_sync(executor, work)) as given:
                for output in given:
                    outputs.append(output)
                    if len(outputs) == count:
                        return
            return

        async def main() -> None:
            async with aclosing(run_executor(executor, work)) as given:
                async for output in given:
                    outputs.append(output)
                    if len(outputs) == count:
                        return

        anyio.run(main, backend=self.name)


WAYS = [Way("asyncio"), Way("trio"), Way("sync")]


def say(text: str = "hi", **fields: object) -> Work:
    """The work of answering one message."""
    return Work(messages=[{"role": "user", "content": text}], **fields)  # type: ignore[arg-type]

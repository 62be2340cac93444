"""An executor with scripted outputs, for callers with and without an event loop."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Generator

from hestiaos_local.execution import EchoExecutor, Output, Work, last_user_text
from hestiaos_local.flow import Disconnect
from hestiaos_local.testing._replies import Reply
from hestiaos_local.testing._script import Script
from hestiaos_proto import GovernanceBlock, ServerError

__all__ = ["ScriptedExecutor"]

_POLL_INTERVAL = 0.005  # seconds between checks on an event loop for a release, which may come from any thread


class ScriptedExecutor:
    """An executor whose outputs are those of the script's replies."""

    model = "hestia-scripted"
    keeps_max_tokens = True  # outputs are exactly those of the script

    def __init__(self, script: Script) -> None:
        self._script = script
        self._echo = EchoExecutor()

    def execute_sync(self, work: Work) -> Generator[Output, None, None]:
        """Yield the outputs of the reply. Raises the reply's error, or a `ServerError` if there is no reply."""
        reply = self._take(work)
        if reply.waits and _has_event_loop():
            raise self._script.fault(
                f"the reply {reply} would block the event loop that waits for it: let the client reach the platform "
                "by its url, or await it"
            )
        time.sleep(reply.delay)
        for number, output in enumerate((*reply.outputs, None)):
            if number == reply.hold_after and not reply.wait(work.timeout):
                raise _not_released(reply)
            if output is not None:
                yield output
        yield from self._end(reply, work)

    async def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        """Yield the same outputs on an event loop."""
        from anyio import sleep

        reply = self._take(work)
        await sleep(reply.delay)
        for number, output in enumerate((*reply.outputs, None)):
            if number == reply.hold_after:
                while not reply.released:  # noqa: ASYNC110  # an `anyio.Event` belongs to one event loop
                    await sleep(_POLL_INTERVAL)
            if output is not None:
                yield output
        for output in self._end(reply, work):
            yield output

    def _take(self, work: Work) -> Reply:
        text = last_user_text(work.messages)
        if (reply := self._script.take(text)) is None:
            raise self._script.not_scripted(text)
        return reply

    def _end(self, reply: Reply, work: Work) -> Generator[Output, None, None]:
        match reply.end:
            case "done":
                return
            case "echo":
                yield from self._echo.execute_sync(work)
            case "cut":
                raise Disconnect
            case "block":
                details = {"rule": "scripted", "reason": reply.reason, "risk_score": 1.0}
                raise GovernanceBlock(work.trace_id, message=reply.reason, details=details)
            case make_error:
                raise make_error()


def _not_released(reply: Reply) -> ServerError:
    return ServerError(f"the reply {reply} was not released", status_code=504, code="TIMED_OUT")


def _has_event_loop() -> bool:
    """Return whether this thread runs an event loop, which would be blocked."""
    if "trio" in sys.modules:
        import trio

        if trio.lowlevel.in_trio_run():
            return True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

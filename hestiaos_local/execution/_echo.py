"""An executor for development that repeats the input."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator

from hestiaos_local.execution._outputs import Finish, Output, Text, Usage
from hestiaos_local.execution._work import Work, last_user_text, message_text

__all__ = ["EchoExecutor"]

_WORD = re.compile(r"\S+\s*")
_TURN = 64  # outputs after which other tasks of the event loop have their turn


class EchoExecutor:
    """Answers `processed: ` and the user's last text, word by word. A token is a word; `max_tokens` is enforced."""

    model = "hestia-local"
    keeps_max_tokens = True

    def execute_sync(self, work: Work) -> Generator[Output, None, None]:
        """Yield the words, each with the white space after it."""
        answer = f"processed: {last_user_text(work.messages)}"
        count = 0
        ended = True
        for word in _WORD.finditer(answer):
            if count == work.max_tokens:
                ended = False
                break
            count += 1
            yield Text(word[0])
        read = sum(sum(1 for _ in _WORD.finditer(message_text(message))) for message in work.messages)
        yield Usage(read, count)
        yield Finish("stop" if ended else "length")

    async def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        """Yield the same outputs on an event loop."""
        from anyio.lowlevel import checkpoint

        for number, output in enumerate(self.execute_sync(work)):
            if number % _TURN == 0:
                await checkpoint()
            yield output

"""The namespace `chat` of a client that streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, Unpack

from hestiaos_proto import operations
from hestiaos_proto._call_options import StreamOptions
from hestiaos_proto._executors import AsyncExecutor, Executor
from hestiaos_proto._namespaces import AsyncChat, Chat
from hestiaos_proto._stream import RunStream
from hestiaos_proto.operations import Operation

__all__ = ["AsyncStreamingChat", "StreamingChat"]

S = TypeVar("S")

NewStream = Callable[[Operation[RunStream], float | None, StreamOptions], S]
"""Begins a stream: the operation, the seconds that all of it may take, the options."""


class _Streams(Generic[S]):
    _new_stream: NewStream[S]

    def stream(
        self,
        message: str,
        session_id: str | None = None,
        timeout: float | None = None,
        **options: Unpack[StreamOptions],
    ) -> S:
        """Send a message and stream the reply's events, as `run_stream` does.

        The data of `start` has the `session_id`, that of `final` is a chat's response. A stream that fails or is closed
        early is not stored in its session. Iterating raises what `run_stream` documents, and `NotFound` with the code
        `UNKNOWN_OPERATION` if the server does not have this addition to 1.0.
        """
        return self._new_stream(operations.chat_stream(message, session_id=session_id), timeout, options)


class AsyncStreamingChat(AsyncChat, _Streams[S]):
    """Chat completion of a client that streams: coroutines."""

    def __init__(self, executor: AsyncExecutor, new_stream: NewStream[S]) -> None:
        super().__init__(executor)
        self._new_stream = new_stream


class StreamingChat(Chat, _Streams[S]):
    """Chat completion of a client that streams: methods of both kinds."""

    def __init__(self, executor: Executor, new_stream: NewStream[S]) -> None:
        super().__init__(executor)
        self._new_stream = new_stream

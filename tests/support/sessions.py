"""The face that every binding has for the scenarios: synchronous, whatever the client is."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Self

from hestiaos import HestiaError, StreamEvent

__all__ = ["KEY", "SECRET", "EventStream", "Session", "check_tells_nothing", "method", "read_types"]

KEY = "-".join(["key", "4711", "secret"])  # put together, so that no traceback shows it as a line of the source
SECRET = "-".join(["value", "0815", "secret"])

METHODS = {
    "run": "run",
    "health": "health",
    "trace": "trace",
    "chat": "chat.run",
    "run_agent": "agents.run",
    "system_status": "system.status",
    "system_config": "system.config",
    "system_metrics": "system.metrics",
    "get_secret": "secrets.get",
    "set_secret": "secrets.set",
    "delete_secret": "secrets.delete",
    "explain": "governance.explain",
    "governance_status": "governance.status",
    "governance_trace": "governance.trace",
    "list_traces": "governance.traces",
    "list_agents": "agents.list",
    "list_secrets": "secrets.list",
    "list_sessions": "chat.sessions",
    "get_session": "chat.session",
    "delete_session": "chat.delete_session",
}


def method(client: object, operation: str, suffix: str = "") -> Callable[..., Any]:
    """The client's method for an operation of the core."""
    target: Any = client
    for name in f"{METHODS[operation]}{suffix}".split("."):
        target = getattr(target, name)
    return target


async def read_types(client: Any) -> list[str]:
    """Of an asynchronous client, the types of the events of a stream."""
    return [event.type async for event in client.run_stream("x")]


def check_tells_nothing(error: BaseException) -> None:
    """Whatever can be seen of an exception holds neither the API key nor a secret."""
    # Without the frames, which show source code and no values, and take a fifth of the suite's time.
    shown = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error, limit=0)]
    for each in shown:
        assert KEY not in each
        assert SECRET not in each


class EventStream(ABC):
    """One stream. `read` gives what comes until the end, and the exception that ended it or `None`."""

    def next(self) -> StreamEvent:
        """The next event. Raises `StopIteration` at the end."""
        try:
            return self._next()
        except HestiaError as error:
            check_tells_nothing(error)
            raise

    def read(self) -> tuple[list[StreamEvent], HestiaError | None]:
        events: list[StreamEvent] = []
        error = self._read_into(events)
        if error is not None:
            check_tells_nothing(error)
        return events, error

    @abstractmethod
    def _next(self) -> StreamEvent: ...

    @abstractmethod
    def _read_into(self, events: list[StreamEvent]) -> HestiaError | None: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def leave_with_block(self) -> None: ...

    @abstractmethod
    def drop(self) -> None:
        """Let go of the object, as a caller does after `break`."""

    @property
    @abstractmethod
    def native(self) -> Any:
        """The binding's own object, for `text`, `final` and `cancel`."""


class Session(ABC):
    """One client. `backends` are the event loops for which `async_client` makes one."""

    name: ClassVar[str]
    remote: ClassVar[bool] = True
    backends: ClassVar[tuple[str, ...]] = ()
    shared: ClassVar[bool] = False
    """Whether blocking calls are made on one client by any thread, and inside a running event loop."""
    blocks: ClassVar[bool] = False
    """Whether a thread blocks in a stream, which another thread may cancel."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._call(operation, *args, **kwargs)
        except HestiaError as error:
            check_tells_nothing(error)
            raise

    @abstractmethod
    def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any: ...

    @abstractmethod
    def stream(self, *args: Any, **kwargs: Any) -> EventStream: ...

    @abstractmethod
    def close_client(self) -> None:
        """Close the client alone."""

    def close(self) -> None:
        self.close_client()

    @classmethod
    def options(cls, options: dict[str, Any]) -> dict[str, Any]:
        """What every client is given where a scenario does not say otherwise."""
        return {"api_key": KEY, "retries": 0, "timeout": 10.0} | options

    @classmethod
    def async_client(cls, url: str, *, one_connection: bool = False, **options: Any) -> Any:
        """An asynchronous client, of a pool of one connection where that is wanted."""
        raise NotImplementedError

    @classmethod
    def call_in_main_thread(cls, url: str) -> None:
        """A call of `run` that Ctrl-C can reach."""
        with cls(url) as session:
            session.call("run", "x")

    @abstractmethod
    def __init__(self, url: str, **options: Any) -> None: ...

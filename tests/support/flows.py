"""Calls and streams driven by hand, without a socket, a clock or an event loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hestiaos_proto import (
    CallContext,
    CallOptions,
    Config,
    HestiaError,
    Hooks,
    Operation,
    Response,
    Runtime,
    Send,
    Wait,
)

NOW = 1_750_000_000.0
"""The time of day of a `runtime()`."""
HEALTH_RESULT = {"status": "ok", "version": "1", "uptime_seconds": 1}
RUN_RESULT = {"result": "r", "output": None, "mode": "ALLOW", "budget": 1, "trace_id": "t", "latency_ms": 1}
EVENT_STREAM = [(b"Content-Type", b"text/event-stream")]

Reply = HestiaError | Callable[[Send], Response]


class Fixed:
    """Random numbers that are always the same."""

    def __init__(self, value: float) -> None:
        self._value = value

    def random(self) -> float:
        return self._value

    def getrandbits(self, k: int, /) -> int:
        return 1


def runtime(clock: Callable[[], float] = lambda: 0.0, chance: Any = None, logger: Any = None) -> Runtime:
    """A clock that stands still, random numbers that are one half, and no log, unless others are given."""
    return Runtime(clock, lambda: NOW, Fixed(0.5) if chance is None else chance, logger)


def status(code: int, body: object = None, **headers: str) -> Callable[[Send], Response]:
    """A reply with this status."""

    def reply(send: Send) -> Response:
        named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        response = send.response(code, [(b"Content-Type", b"application/json"), *named])
        response.receive_data(json.dumps(body).encode())
        response.receive_data(b"")
        return response

    return reply


def stream_head(send: Send) -> Response:
    """The reply to a stream's request whose events are still to come."""
    return send.response(200, EVENT_STREAM)


class Drive:
    """Drives one call with a fixed sequence of replies, the last of them for ever, and notes what it asked for."""

    def __init__(
        self,
        operation: Operation[Any],
        *replies: Reply,
        clock: Any = lambda: 0.0,
        chance: Any = None,
        logger: Any = None,
        hooks: tuple[Hooks, ...] = (),
        options: CallOptions | None = None,
        **config: Any,
    ) -> None:
        self.sends: list[Send] = []
        self.waits: list[float] = []
        self.result: Any = None
        self.error: HestiaError | None = None
        context = CallContext(Config(**config), runtime(clock, chance, logger), hooks)
        flow, self.observer = context.begin(operation, options or {})
        try:
            step = next(flow)
            while True:
                if isinstance(step, Wait):
                    self.waits.append(step.seconds)
                    if hasattr(clock, "now"):
                        clock.now += step.seconds
                    step = flow.send(None)
                else:
                    self.sends.append(step)
                    reply = replies[min(len(self.sends), len(replies)) - 1]
                    step = flow.throw(reply) if isinstance(reply, HestiaError) else flow.send(reply(step))
        except StopIteration as stop:
            self.result = stop.value
        except HestiaError as error:
            self.error = error

    def headers(self, name: str) -> list[str | None]:
        return [send.request.headers.get(name) for send in self.sends]


class HookRecorder:
    """Hooks that note their calls, under a name where there are several."""

    def __init__(self, name: str = "", notes: list[tuple[Any, ...]] | None = None) -> None:
        self.notes: list[tuple[Any, ...]] = [] if notes is None else notes
        self.calls: list[Any] = []
        self._name = name
        self.hooks = Hooks(
            on_request=lambda call, request: self._note(call, "request", call.attempt, request),
            on_response=lambda call, response: self._note(call, "response", response.status),
            on_retry=lambda call, error, wait: self._note(call, "retry", error, wait),
            on_stream_event=lambda call, event: self._note(call, "event", event.type),
            on_call_end=lambda call, error: self._note(call, "end", error),
        )

    @property
    def names(self) -> list[str]:
        """The names of the hooks that were called."""
        return [what for what, *_ in self.notes]

    @property
    def ends(self) -> list[BaseException | None]:
        """The errors that `on_call_end` was given."""
        return [what[-1] for what in self.notes if what[0] == f"{self._name}end"]

    def _note(self, call: Any, what: str, *rest: Any) -> None:
        self.calls.append(call)
        self.notes.append((self._name + what, *rest))

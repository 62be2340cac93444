"""One call's life, from its operation to its result: retries, backoff, Retry-After, deadline and idempotency key.

`call` is a generator that does no I/O. It yields `Send`, to be answered with the `Response` or with the exception that
came instead, and `Wait`, to be answered with `None` once so many seconds have passed; it returns the result.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, Protocol, Self, TypeVar

from attrs import field, frozen

from hestiaos_proto.client_messages import Request, Response
from hestiaos_proto.config import Config
from hestiaos_proto.deadline import Deadline
from hestiaos_proto.errors import ConnectionLost, HestiaError, StatusError, TransportError
from hestiaos_proto.operations import Operation
from hestiaos_proto.redaction import Redactor
from hestiaos_proto.stream import RunStream

__all__ = ["CallFlow", "RandomSource", "Reply", "Runtime", "Send", "Wait", "call_flow", "run_flow", "run_flow_async"]

T = TypeVar("T")

_FIRST_BACKOFF = 0.5  # seconds, doubled at each further repeat
_LONGEST_BACKOFF = 8.0
_LONGEST_RETRY_AFTER = 60.0
_REPEATED = frozenset({429, 502, 503, 504})
_NOT_BEGUN = frozenset({429, 503})  # by these a server says that it has not begun


class RandomSource(Protocol):
    """What of `random.Random` is used here."""

    def random(self) -> float: ...

    def getrandbits(self, k: int, /) -> int: ...


@frozen(eq=False)
class Runtime:
    """What the core may not fetch for itself: two clocks, in seconds, and random numbers.

    `monotonic` never goes back (`time.monotonic`), `time` counts from 1970 (`time.time`); `random` is a
    `random.SystemRandom()`, in a test a `random.Random(seed)`.
    """

    monotonic: Callable[[], float]
    time: Callable[[], float]
    random: RandomSource


@frozen(eq=False)
class Send:
    """Send `request` and answer with `response(status, headers)`, fed with the body, or with what was raised.

    `timeout` bounds the connect and each write, `read_timeout` each read; `deadline` is when all must be over.
    """

    operation: Operation[Any]
    request: Request
    timeout: float
    read_timeout: float
    deadline: Deadline
    _config: Config = field(repr=False)

    @classmethod
    def of(
        cls, operation: Operation[Any], config: Config, deadline: Deadline, idempotency_key: str | None = None
    ) -> Self:
        """How this operation is sent."""
        request = operation.request(config, idempotency_key)
        server_timeout = max(config.timeout, operation.server_timeout)
        return cls(operation, request, deadline.bound(config.timeout), deadline.bound(server_timeout), deadline, config)

    @property
    def redactor(self) -> Redactor:
        """Hides the key and the secrets of this request in what the server repeats of it."""
        return self.operation.redactor(self._config)

    def response(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Response:
        """The response whose head has arrived. Where it has a `stream` the call needs no more of it than that."""
        config, redactor = self._config, self.redactor
        stream = None
        if self.operation.route.streams:
            stream = RunStream(strict=config.strict, max_event_size=config.max_event_size, redactor=redactor)
        return Response(
            status,
            headers,
            stream=stream,
            max_body_size=config.max_body_size,
            deadline=self.deadline,
            redactor=redactor,
        )


@frozen
class Wait:
    """Let `seconds` pass, and answer with `None`."""

    seconds: float


Reply = Response | HestiaError | None
CallFlow = Generator[Send | Wait, Reply, T]


def call_flow(
    operation: Operation[T], config: Config, runtime: Runtime, *, deadline: float | None = None
) -> CallFlow[T]:
    """Carry out `operation`; `deadline` bounds it in seconds, instead of the config's.

    What is idempotent is repeated on a `TransportError`, 429, 502, 503 and 504. What starts work on the server carries
    one `Idempotency-Key`, and is repeated only where the server cannot have begun or says that it has not (429, 503).
    A stream is repeated until its head has arrived.
    """
    idempotent = operation.route.idempotent
    end = Deadline(runtime.monotonic, config.deadline if deadline is None else deadline)
    key = None if idempotent else f"{runtime.random.getrandbits(128):032x}"
    attempt, stale = 0, False
    while True:
        end.check()
        reply = yield Send.of(operation, config, end, key)
        try:
            return _result(operation, reply, runtime)
        except (StatusError, TransportError) as error:
            if idempotent and not stale and isinstance(error, ConnectionLost) and error.stale:
                stale = True  # RFC 9112, section 9.3.1: a new connection, at once; this is no failure of the server
                continue
            pause = _pause(error, idempotent, attempt, runtime) if attempt < config.retries else None
            if pause is None or end.bound(pause) < pause:
                raise
        attempt += 1
        yield Wait(pause)


def run_flow(steps: CallFlow[T], send: Callable[[Send], Reply], sleep: Callable[[float], object]) -> T:
    """Carry a call out to its result, with functions that do what it says."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                sleep(step.seconds)
                step = steps.send(None)
            else:
                step = steps.send(send(step))
    except StopIteration as end:
        result: T = end.value
        return result


async def run_flow_async(
    steps: CallFlow[T], send: Callable[[Send], Awaitable[Reply]], sleep: Callable[[float], Awaitable[object]]
) -> T:
    """As `run_flow`, with coroutines, of whatever event loop they are."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                await sleep(step.seconds)
                step = steps.send(None)
            else:
                step = steps.send(await send(step))
    except StopIteration as end:
        result: T = end.value
        return result


def _result(operation: Operation[T], reply: Reply, runtime: Runtime) -> T:
    if isinstance(reply, HestiaError):
        raise reply
    assert reply is not None, "a Send is answered with a Response or an exception"
    return operation.read(reply, retry_after=reply.retry_after(runtime.time()))


def _pause(error: StatusError | TransportError, idempotent: bool, attempt: int, runtime: Runtime) -> float | None:
    """The seconds until the next repeat, `None` where there may be none."""
    if isinstance(error, TransportError):
        repeat = idempotent or not error.request_sent
    else:
        repeat = error.status_code in (_REPEATED if idempotent else _NOT_BEGUN)
        if repeat and error.retry_after is not None:
            return error.retry_after if error.retry_after <= _LONGEST_RETRY_AFTER else None
    # Full jitter: clients that failed together do not come back together.
    longest = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(attempt, 10))
    return runtime.random.random() * longest if repeat else None

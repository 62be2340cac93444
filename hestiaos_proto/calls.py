"""One call's life, from its operation to its result: retries, backoff, Retry-After, deadline and idempotency key.

`call_flow` is a generator that does no I/O. It yields `Send`, to be answered with the `Response`, and `Wait`, to be
answered once so many seconds have passed; what failed instead is thrown into it. It returns the result or raises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import Any, Protocol, Self, TypedDict, TypeVar

from attrs import field, frozen

from hestiaos_proto.client_messages import Request, Response
from hestiaos_proto.config import Config
from hestiaos_proto.deadline import Deadline
from hestiaos_proto.errors import ConnectionLost, HestiaError, StatusError, TransportError
from hestiaos_proto.hooks import LOG_LEVEL, CallObserver, Hooks, Logger, ResponseInfo
from hestiaos_proto.operations import Operation
from hestiaos_proto.redaction import Redactor
from hestiaos_proto.stream import RunStream

__all__ = [
    "CallContext",
    "CallFlow",
    "CallOptions",
    "RandomSource",
    "Runtime",
    "Send",
    "StreamOptions",
    "Wait",
    "call_flow",
    "run_flow",
    "run_flow_async",
]

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
    """What the core may not fetch for itself: two clocks, in seconds, random numbers, and where to log.

    `monotonic` never goes back (`time.monotonic`), `time` counts from 1970 (`time.time`); `random` is a
    `random.SystemRandom()`, in a test a `random.Random(seed)`; `logger` is a `logging.Logger`.
    """

    monotonic: Callable[[], float]
    time: Callable[[], float]
    random: RandomSource
    logger: Logger | None = None


class StreamOptions(TypedDict, total=False):
    """What `run_stream` takes by keyword, for that call alone; what is not given, or `None`, is the client's.

    `deadline` bounds the whole call with its repeats, in seconds; `retries` is the most repeats. `headers` are added to
    the client's. `idempotency_key` is sent instead of one of the client's making. `hooks` are called after the
    client's. What is wrong raises `ValueError` or `TypeError` before anything is sent.
    """

    retries: int | None
    deadline: float | None
    headers: Mapping[str, str] | None
    idempotency_key: str | None
    hooks: Hooks | None


class CallOptions(StreamOptions, total=False):
    """What every other method takes: `timeout` too, which bounds each connect, read and write, in seconds."""

    timeout: float | None


@frozen(eq=False)
class Send:
    """Send `request` and answer with `response(status, headers)`, fed with the body, or throw what was raised.

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
        read_timeout = max(config.timeout, operation.server_timeout)
        return cls(operation, request, deadline.bound(config.timeout), deadline.bound(read_timeout), deadline, config)

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
    """Let `seconds` pass."""

    seconds: float


CallFlow = Generator[Send | Wait, Response | None, T]


@frozen(eq=False)
class CallContext:
    """What all calls of one client have in common."""

    config: Config
    runtime: Runtime
    hooks: tuple[Hooks, ...] = ()

    def begin(self, operation: Operation[T], options: CallOptions) -> tuple[CallFlow[T], CallObserver | None]:
        """A call's flow, and who hears of it, if anybody does. Raises as `call_flow` does."""
        runtime = self.runtime
        own = options.get("hooks")
        hooks = self.hooks if own is None else (*self.hooks, own)
        observer = None
        if hooks or (runtime.logger is not None and runtime.logger.isEnabledFor(LOG_LEVEL)):
            observer = CallObserver(operation.name, hooks, runtime.logger, runtime.monotonic)
        return call_flow(operation, self.config, runtime, options=options, observer=observer), observer


def call_flow(
    operation: Operation[T],
    config: Config,
    runtime: Runtime,
    *,
    options: CallOptions | None = None,
    observer: CallObserver | None = None,
) -> CallFlow[T]:
    """Carry out `operation`.

    What is idempotent is repeated on a `TransportError`, 429, 502, 503 and 504. What starts work on the server carries
    one `Idempotency-Key`, and is repeated only where the server cannot have begun or says that it has not (429, 503).
    A stream is repeated until its head has arrived; whoever reads it tells `observer` of its end.

    Raises `ValueError` or `TypeError` at once for `options` that are wrong.
    """
    key = None
    if options:
        if unknown := options.keys() - CallOptions.__optional_keys__:
            raise TypeError(f"{operation.name}() got an unexpected keyword argument {min(unknown)!r}")
        key = options.get("idempotency_key")
        config = config.for_call(
            timeout=options.get("timeout"),
            retries=options.get("retries"),
            deadline=options.get("deadline"),
            headers=options.get("headers"),
        )
        operation.request(config, key)  # judged now, not when a stream is first asked for an event
    return _flow(operation, config, runtime, key, observer)


def _flow(
    operation: Operation[T], config: Config, runtime: Runtime, key: str | None, observer: CallObserver | None
) -> CallFlow[T]:
    try:
        result = yield from _attempts(operation, config, runtime, key, observer)
    except BaseException as error:  # a cancellation and Ctrl-C too: whoever observes hears of every end
        if observer is not None:
            observer.end(error)
        raise
    if observer is not None and not operation.route.streams:
        observer.end(None)
    return result


def _attempts(
    operation: Operation[T], config: Config, runtime: Runtime, key: str | None, observer: CallObserver | None
) -> CallFlow[T]:
    idempotent = operation.route.idempotent
    end = Deadline(runtime.monotonic, config.deadline)
    if key is None and not idempotent:
        key = f"{runtime.random.getrandbits(128):032x}"
    attempt, stale = 0, False
    while True:
        end.check()
        send = Send.of(operation, config, end, key)
        if observer is not None:
            observer.request(send.request, send.redactor, attempt)
        try:
            response = yield send
            assert response is not None, "a Send is answered with a Response"
            return _result(operation, response, runtime, observer)
        except (StatusError, TransportError) as error:
            if idempotent and not stale and isinstance(error, ConnectionLost) and error.stale:
                stale = True  # RFC 9112, section 9.3.1: a new connection, at once; this is no failure of the server
                continue
            pause = _pause(error, idempotent, attempt, runtime) if attempt < config.retries else None
            if pause is None or end.bound(pause) < pause:
                raise
            if observer is not None:
                observer.retry(error, pause)
        attempt += 1
        yield Wait(pause)


def run_flow(flow: CallFlow[T], send: Callable[[Send], Response], sleep: Callable[[float], object]) -> T:
    """Carry a call out to its result, with functions that do what it says."""
    try:
        step = next(flow)
        while True:
            response = None
            try:
                if isinstance(step, Wait):
                    sleep(step.seconds)
                else:
                    response = send(step)
            except BaseException as error:  # thrown into the flow, which raises what it does not handle
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as end:
        result: T = end.value
        return result
    except BaseException:  # Ctrl-C between two of these lines, of which the flow has not heard
        flow.close()
        raise


async def run_flow_async(
    flow: CallFlow[T], send: Callable[[Send], Awaitable[Response]], sleep: Callable[[float], Awaitable[object]]
) -> T:
    """As `run_flow`, with coroutines, of whatever event loop they are."""
    try:
        step = next(flow)
        while True:
            response = None
            try:
                if isinstance(step, Wait):
                    await sleep(step.seconds)
                else:
                    response = await send(step)
            except BaseException as error:  # thrown into the flow, which raises what it does not handle
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as end:
        result: T = end.value
        return result


def _result(operation: Operation[T], response: Response, runtime: Runtime, observer: CallObserver | None) -> T:
    if observer is not None:
        observer.response(ResponseInfo.of(response))
    try:
        return operation.read(response, retry_after=response.retry_after(runtime.time()))
    except HestiaError as error:
        error.response = ResponseInfo.of(response)
        raise


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

"""A call from its operation to its result: retries, backoff, Retry-After, deadline, idempotency key, lost streams.

`call_flow` is a generator that does no I/O: see `CallFlow`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen

from hestiaos_proto._call_options import CallOptions, StreamOptions, config_of_call, is_resumable
from hestiaos_proto._client_messages import Response
from hestiaos_proto._config import Config
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._errors import ConnectionLost, HestiaError, LocalProtocolError
from hestiaos_proto._hooks import LOG_LEVEL, CallObserver, Hooks, hooks_of
from hestiaos_proto._retries import pause_before_repeat
from hestiaos_proto._runtime import Runtime
from hestiaos_proto._steps import CallFlow, Interceptor, Send, Wait
from hestiaos_proto._stream import RunStream
from hestiaos_proto._tracebacks import shorten
from hestiaos_proto.operations import Operation

__all__ = ["Call", "CallContext", "call_flow", "run_flow", "run_flow_async"]

T = TypeVar("T")


@frozen(eq=False)
class CallContext:
    """The context that all calls of one client share."""

    config: Config
    runtime: Runtime
    hooks: tuple[Hooks, ...] = ()
    interceptor: Interceptor | None = None

    def begin(self, operation: Operation[T], options: CallOptions) -> tuple[CallFlow[T], CallObserver | None]:
        """Return the flow of a call, and the observer for its hooks and log, if any. Raises like `call_flow`."""
        call = self.call(operation, options)
        return call.flow(), call.observer

    def call(self, operation: Operation[T], options: CallOptions | StreamOptions) -> Call[T]:
        """Return a call with its observer. Raises like `call_flow`."""
        runtime = self.runtime
        hooks = (*self.hooks, *hooks_of(options.get("hooks"))) if options else self.hooks
        observer = None
        if hooks or (runtime.logger is not None and runtime.logger.isEnabledFor(LOG_LEVEL)):
            observer = CallObserver(operation.name, hooks, runtime.logger, runtime.monotonic)
        return Call(operation, self.config, runtime, options, observer, self.interceptor)


def call_flow(
    operation: Operation[T],
    config: Config,
    runtime: Runtime,
    *,
    options: CallOptions | None = None,
    observer: CallObserver | None = None,
    interceptor: Interceptor | None = None,
) -> CallFlow[T]:
    """Carry out `operation`, each exchange of it through the `interceptor`.

    What is idempotent is repeated on a `TransportError`, 429, 502, 503 and 504. What starts work on the server carries
    one `Idempotency-Key`, and is repeated only if the server cannot have begun, says that it has not (429, 503), or
    says when to ask again for the result of the first request with this key (409 with `Retry-After`).
    A stream is repeated until its head has arrived.

    `observer` is notified of each step and of the end; the end of a stream is reported by its reader. The hooks among
    `options` are not called here: `CallContext.begin` makes an observer that calls them.

    Raises `ValueError` or `TypeError` at once for `options` that are wrong.
    """
    return Call(operation, config, runtime, options, observer, interceptor).flow()


class Call(Generic[T]):
    """One call: all its requests have the same key, and share the deadline and the number of repeats.

    `flow` carries it out. If the connection of its stream was lost, `resume` carries on.
    """

    def __init__(
        self,
        operation: Operation[T],
        config: Config,
        runtime: Runtime,
        options: CallOptions | StreamOptions | None,
        observer: CallObserver | None,
        interceptor: Interceptor | None,
    ) -> None:
        self.observer: CallObserver | None = observer
        self._interceptor = interceptor
        self._key = None
        self._stream: RunStream | None = None
        if options:
            config = config_of_call(operation.name, config, options, streams=operation.route.streams)
            self._key = options.get("idempotency_key")
            if is_resumable(options):
                self._stream = RunStream(
                    strict=config.strict,
                    max_event_size=config.max_event_size,
                    redactor=operation.redactor(config),
                    resumable=True,
                )
        self._operation = operation
        self._config = config
        self._runtime = runtime
        self._deadline = Deadline.never()  # until the first request
        self._repeats = 0

    def flow(self) -> CallFlow[T]:
        """Carry out the call, as `call_flow` says."""
        flow = self._first()
        return flow if self.observer is None or self._operation.route.streams else _observed(flow, self.observer)

    def _first(self) -> CallFlow[T]:
        self._deadline = Deadline(self._runtime.monotonic, self._config.deadline)
        idempotent = self._operation.route.idempotent
        if self._key is None and not idempotent:
            self._key = f"{self._runtime.random.getrandbits(128):032x}"
        return (yield from self._attempts(safe=idempotent))

    def resume(self, interruption: HestiaError) -> CallFlow[T]:
        """Resume the stream, which `interruption` has ended, after its last event over another connection.

        A request for the rest of a stream starts no work, and is repeated as what is idempotent. Raises `interruption`
        at once if the stream cannot be resumed, or no retry is left. The flow raises `StreamInterrupted` if the server
        cannot resume it, `TimedOut` after the deadline.
        """
        stream = self._stream
        if stream is None or stream.error is not interruption or not stream.can_resume:
            raise interruption
        pause = self._pause(interruption, safe=True)
        if pause is None:
            raise interruption
        stream.reconnect()
        return self._rest(stream, pause)

    def _rest(self, stream: RunStream, pause: float) -> CallFlow[T]:
        yield Wait(pause)
        try:
            return (yield from self._attempts(safe=True))
        except LocalProtocolError:
            raise
        except HestiaError as error:
            if self._deadline.left() == 0:
                raise
            raise stream.interrupted(
                f"the stream was interrupted after {stream.events_received} events, and cannot be resumed: {error}"
            ) from error

    def _attempts(self, *, safe: bool) -> CallFlow[T]:
        """Send the request until it is answered; `safe` says that a repeat does no more than the first request did."""
        observer, interceptor, stale = self.observer, self._interceptor, False
        while True:
            self._deadline.check()
            send = Send.of(self._operation, self._config, self._deadline, self._key, self._stream)
            if observer is not None:
                observer.request(send.request, send.redactor)
            try:
                response = (yield send) if interceptor is None else (yield from interceptor.exchange(send))
                assert response is not None, "a Send is answered with a Response"
                result = _read(self._operation, response, self._runtime)
            except HestiaError as error:
                if observer is not None and error.response is not None:
                    observer.response(error.response)
                if safe and not stale and isinstance(error, ConnectionLost) and error.stale:
                    stale = True  # RFC 9112, section 9.3.1: repeated at once, on a new connection, and not counted
                    if observer is not None:
                        observer.retry(error, 0.0)
                    continue
                pause = self._pause(error, safe=safe)
                if pause is None:
                    raise
            else:
                if observer is not None and observer.has_hook("on_response"):
                    observer.response(response.info)
                return result
            yield Wait(pause)

    def _pause(self, error: HestiaError, *, safe: bool) -> float | None:
        """Count a repeat after `error`, and return the wait before it; `None` if the request is not repeated."""
        if self._repeats >= self._config.retries:
            return None
        keyed = not self._operation.route.idempotent
        pause = pause_before_repeat(error, safe=safe, keyed=keyed, repeats=self._repeats, random=self._runtime.random)
        if pause is None or self._deadline.bound(pause) < pause:
            return None
        if self.observer is not None:
            self.observer.retry(error, pause)
        self._repeats += 1
        return pause if self._interceptor is None else self._interceptor.pause(pause)


def _observed(flow: CallFlow[T], observer: CallObserver) -> CallFlow[T]:
    try:
        result = yield from flow
        observer.end(None)
        return result
    except BaseException as error:  # a cancellation and Ctrl-C too
        observer.end(error)
        raise


def run_flow(flow: CallFlow[T], send: Callable[[Send], Response], sleep: Callable[[float], object]) -> T:
    """Carry out a call with functions that send and sleep, and return its result."""
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
    except HestiaError as error:
        raise shorten(error)  # noqa: B904  # it has its cause
    finally:
        flow.close()  # Ctrl-C may have come between two of these lines, outside of the flow


async def run_flow_async(
    flow: CallFlow[T], send: Callable[[Send], Awaitable[Response]], sleep: Callable[[float], Awaitable[object]]
) -> T:
    """Run a flow like `run_flow`, with coroutines, on any event loop."""
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
    except HestiaError as error:
        raise shorten(error)  # noqa: B904  # it has its cause
    finally:
        flow.close()  # Ctrl-C may have come between two of these lines, outside of the flow


def _read(operation: Operation[T], response: Response, runtime: Runtime) -> T:
    try:
        return operation.read(response, retry_after=response.retry_after(runtime.time()))
    except HestiaError as error:
        error.response = response.info
        raise

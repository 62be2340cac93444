"""A call from its operation to its result: retries, backoff, Retry-After, deadline and idempotency key.

`call_flow` is a generator that does no I/O. It yields `Send` and is sent the `Response`; it yields `Wait` and is sent
`None` after that many seconds; an exception is thrown into it. It returns the result or raises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import frozen

from hestiaos_proto._call_options import CallOptions, StreamOptions, config_of_call
from hestiaos_proto._client_messages import Response
from hestiaos_proto._config import Config
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._errors import ConnectionLost, HestiaError
from hestiaos_proto._hooks import LOG_LEVEL, CallObserver, Hooks, hooks_of
from hestiaos_proto._retries import pause_before_repeat
from hestiaos_proto._runtime import Runtime
from hestiaos_proto._steps import CallFlow, Interceptor, Send, Wait
from hestiaos_proto._tracebacks import shorten
from hestiaos_proto.operations import Operation

__all__ = [
    "CallContext",
    "CallOptions",
    "StreamOptions",
    "call_flow",
    "run_flow",
    "run_flow_async",
]

T = TypeVar("T")


@frozen(eq=False)
class CallContext:
    """The context that all calls of one client share."""

    config: Config
    runtime: Runtime
    hooks: tuple[Hooks, ...] = ()
    interceptor: Interceptor | None = None

    def begin(self, operation: Operation[T], options: CallOptions) -> tuple[CallFlow[T], CallObserver | None]:
        """The flow of a call, and the observer for its hooks and log, if there are any. Raises as `call_flow` does."""
        runtime = self.runtime
        hooks = (*self.hooks, *hooks_of(options.get("hooks"))) if options else self.hooks
        observer = None
        if hooks or (runtime.logger is not None and runtime.logger.isEnabledFor(LOG_LEVEL)):
            observer = CallObserver(operation.name, hooks, runtime.logger, runtime.monotonic)
        flow = call_flow(
            operation, self.config, runtime, options=options, observer=observer, interceptor=self.interceptor
        )
        return flow, observer


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
    one `Idempotency-Key`, and is repeated only where the server cannot have begun, says that it has not (429, 503), or
    says when to ask again for the result of the first request with this key (409 with `Retry-After`).
    A stream is repeated until its head has arrived.

    `observer` is notified of each step and of the end; the end of a stream is reported by its reader. The hooks among
    `options` are not called here: `CallContext.begin` makes an observer that calls them.

    Raises `ValueError` or `TypeError` at once for `options` that are wrong.
    """
    key = None
    if options:
        config = config_of_call(operation.name, config, options)
        key = options.get("idempotency_key")
    flow = _attempts(operation, config, runtime, key, observer, interceptor)
    return flow if observer is None or operation.route.streams else _to_its_end(flow, observer)


def _to_its_end(flow: CallFlow[T], observer: CallObserver) -> CallFlow[T]:
    try:
        result = yield from flow
        observer.end(None)
        return result
    except BaseException as error:  # a cancellation and Ctrl-C too
        observer.end(error)
        raise


def _attempts(
    operation: Operation[T],
    config: Config,
    runtime: Runtime,
    key: str | None,
    observer: CallObserver | None,
    interceptor: Interceptor | None,
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
            observer.request(send.request, send.redactor)
        try:
            response = (yield send) if interceptor is None else (yield from interceptor.exchange(send))
            assert response is not None, "a Send is answered with a Response"
            result = _read(operation, response, runtime)
        except HestiaError as error:
            if observer is not None and error.response is not None:
                observer.response(error.response)
            if idempotent and not stale and isinstance(error, ConnectionLost) and error.stale:
                stale = True  # RFC 9112, section 9.3.1: repeated at once, on a new connection, and not counted
                if observer is not None:
                    observer.retry(error, 0.0)
                continue
            pause = None
            if attempt < config.retries:
                pause = pause_before_repeat(
                    error, safe=idempotent, keyed=not idempotent, repeats=attempt, random=runtime.random
                )
            if pause is None or end.bound(pause) < pause:
                raise
            if observer is not None:
                observer.retry(error, pause)
        else:
            if observer is not None and observer.has_hook("on_response"):
                observer.response(response.info)
            return result
        attempt += 1
        yield Wait(pause if interceptor is None else interceptor.pause(pause))


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
    """As `run_flow`, with coroutines, for any event loop."""
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

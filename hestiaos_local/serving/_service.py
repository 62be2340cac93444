"""The service that the connections of a server share: it carries out calls in the event loop, or in a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from math import inf, isfinite
from typing import Any

from anyio import CapacityLimiter, sleep, to_thread
from attrs import Factory, field, frozen

from hestiaos_local._faults import unavailable
from hestiaos_local._platform import Platform
from hestiaos_local._run_streams import STREAMS
from hestiaos_local.flow import AsyncEvents, Caller, Events
from hestiaos_local.serving._access import Access
from hestiaos_local.serving._dashboard import respond_page
from hestiaos_local.serving._front_door import PATHS, CompletionPieces, FrontDoor, is_front_door, refuse
from hestiaos_local.serving._metrics import encode_metrics, metrics_of
from hestiaos_local.serving._openapi import openapi_document
from hestiaos_local.serving._request_log import ResponseRecord, ServedRequest
from hestiaos_local.serving._resources import METRICS, OPENAPI, PAGES
from hestiaos_local.serving._shared_metrics import SharedMetrics
from hestiaos_local.storage import StoreError
from hestiaos_proto import (
    EncodedResponse,
    HealthResponse,
    Result,
    ServerRequest,
    StatusError,
    encode_json,
)

__all__ = ["Service", "ServiceResponse"]

# How many calls are worked on beside the event loop: those that wait for the store, those that compute, which would
# keep the loop from its turns, those that tell how the server is, and those that read the whole of a log or a policy.
_THREADS = 40
_LARGE_THREADS = 2
_WATCH_THREADS = 4
_COMPUTING_THREADS = 2

_SHARE_EVERY = 1.0  # seconds

# In bytes, of a request's body:
_SMALL = 4096  # up to here it is worked on at once; that takes less than a millisecond
_LARGE = 16 * 1024

_AT_ONCE = frozenset({"", "health", "system_config"})  # refusals among them: nothing of them waits
_EXECUTIONS = frozenset({"run", "chat", "run_agent", *STREAMS})
_CHECKING = frozenset({"system_status", "system_config"})  # they ask whether the model server answers
_COMPUTING = frozenset({"test_policy", "verify_audit"})  # for as long as the policy or the log takes
_WATCHING = frozenset({"system_status", "system_metrics"})

_log = logging.getLogger("hestiaos_local")


ServiceResponse = Result | BaseException | EncodedResponse | Events | AsyncEvents | CompletionPieces
"""A result, an exception or an encoded response; or the events of a stream, or the pieces of a completion."""


@frozen
class Service:
    """The platform, who may ask it, and how its streams are paced: `token_delay` and `heartbeat` in seconds.

    `shared_metrics` are those of several workers; `on_request` is called with each request once it is answered. For
    `grace` seconds a run goes on whose client has lost the connection and may come back.
    """

    platform: Platform
    access: Access
    token_delay: float
    heartbeat: float
    shared_metrics: SharedMetrics | None = None
    on_request: Callable[[ServedRequest], object] | None = None
    grace: float = 30.0
    front_door: FrontDoor = field(init=False, default=Factory(lambda self: FrontDoor(self.platform), takes_self=True))
    threads: CapacityLimiter = field(factory=lambda: CapacityLimiter(_THREADS))
    large_threads: CapacityLimiter = field(factory=lambda: CapacityLimiter(_LARGE_THREADS))
    watch_threads: CapacityLimiter = field(factory=lambda: CapacityLimiter(_WATCH_THREADS))
    computing_threads: CapacityLimiter = field(factory=lambda: CapacityLimiter(_COMPUTING_THREADS))

    def __attrs_post_init__(self) -> None:
        if not (isfinite(self.token_delay) and self.token_delay >= 0):
            raise ValueError(f"token_delay must be a number of seconds, 0 or more, not {self.token_delay}")
        if not (isfinite(self.heartbeat) and self.heartbeat > 0):
            raise ValueError(f"heartbeat must be a number of seconds greater than 0, not {self.heartbeat}")
        if not (isfinite(self.grace) and self.grace >= 0):
            raise ValueError(f"grace must be a number of seconds, 0 or more, not {self.grace}")

    async def respond(self, call: ServerRequest, record: ResponseRecord | None = None) -> ServiceResponse:
        """The platform's response to a call that was let in, or what the call is refused with.

        A refusal has the form that its client reads. `record` is for the log.
        """
        response = await self._respond(call, record or ResponseRecord())
        return refuse(response) if isinstance(response, StatusError) and is_front_door(call.target) else response

    async def _respond(self, call: ServerRequest, record: ResponseRecord) -> ServiceResponse:
        if call.response is not None:
            return call.response
        # A key may have been revoked since the head was judged.
        key = None if call.refusal is not None else self.access.authorize(call)
        if isinstance(key, StatusError):
            return key
        name = record.key = None if key is None else key.name
        if key is not None and call.key is not None:  # of keys in a file only the hashes are known before
            self.platform.hide(call.key)
        if call.resource in PATHS:
            return await self.front_door.respond(call, self._caller(call), name)
        if call.resource == OPENAPI:
            return encode_json(openapi_document(protected=self.access.keys is not None))
        if call.resource in PAGES:
            return respond_page(call)
        if call.resource == METRICS:
            return encode_metrics(self.platform.measurements.counts(), self.shared_metrics)
        response: ServiceResponse
        if self._is_awaited(call):
            response = await self.platform.respond_async(call, self._caller(call), key=name)
        elif self._is_quick(call):
            response = self.platform.respond(call, key=name)
        else:  # what has begun is not given up, even where the server stops: it is stored before the platform is closed
            respond = partial(self.platform.respond, call, key=name)
            response = await to_thread.run_sync(respond, limiter=self._threads_for(call))
        if isinstance(response, StoreError):
            _log.error("%s failed: %s", call.operation, response)
            return unavailable(response, "the server's store cannot be used now")
        if isinstance(response, HealthResponse) and key is None and self.access.keys is not None:
            return encode_json({"status": response.status, "version": response.version})
        return response

    async def share_metrics(self) -> None:
        """Tell the other workers of this one's metrics for as long as it works, where they are shared."""
        if self.shared_metrics is None:
            return
        try:
            while True:
                try:
                    await sleep(_SHARE_EVERY)
                finally:  # at the end too
                    self.shared_metrics.write(metrics_of(self.platform.measurements.counts()))
        except OSError as error:
            _log.error("the other workers do not get to know this one's metrics any more: %s", error)
        finally:
            self.shared_metrics.close()

    def may_take_long(self, call: ServerRequest) -> bool:
        """Whether a model works on it: then it is given up where the client goes."""
        return not self.platform.echoes and (call.operation in _EXECUTIONS or call.resource in PATHS)

    @property
    def pace(self) -> float:
        """The time before each token, in seconds. A model has a pace of its own."""
        return self.token_delay if self.platform.echoes else 0.0

    def _is_awaited(self, call: ServerRequest) -> bool:
        """Whether the event loop waits for what an executor waits for, and for the store at the end of a stream."""
        if call.operation in STREAMS:
            return self.platform.blocking or call.last_event_id is not None  # it may wait for a run under way
        return not self.platform.echoes and call.operation in _EXECUTIONS | _CHECKING

    def _caller(self, call: ServerRequest) -> Caller:
        if self.platform.storage == "memory" and _size(call) <= _SMALL:
            return _at_once
        return partial(to_thread.run_sync, limiter=self._threads_for(call))

    def _threads_for(self, call: ServerRequest) -> CapacityLimiter:
        if call.operation in _WATCHING:
            return self.watch_threads
        if call.operation in _COMPUTING:
            return self.computing_threads
        return self.threads if _size(call) <= _LARGE else self.large_threads

    def _is_quick(self, call: ServerRequest) -> bool:
        """Whether the event loop works on a call itself: a thread costs 60 to 90 µs, a fifth of a small call's whole.

        A file may be locked for seconds, and so may the store by a thread that works on a large body. A thread frees
        the loop of such waits; what it computes still takes turns with the loop.
        """
        if call.operation in _AT_ONCE:
            return True
        limiters = (self.threads, self.large_threads, self.computing_threads)
        idle = not any(limiter.borrowed_tokens for limiter in limiters)
        return self.platform.storage == "memory" and idle and _size(call) <= _SMALL and call.operation not in _COMPUTING


async def _at_once(function: Callable[[], Any]) -> Any:
    return function()


def _size(call: ServerRequest) -> float:
    """The size of a request's body in bytes, infinite where it is not given."""
    length = _length(call)
    return inf if length is None else length


def _length(call: ServerRequest) -> int | None:
    length = call.headers.get("content-length", "0")
    return None if "transfer-encoding" in call.headers or not length.isdecimal() else int(length)

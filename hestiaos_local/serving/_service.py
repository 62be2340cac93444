"""The service shared by all connections of a server. It executes calls in the event loop or in a thread."""

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
from hestiaos_local.serving._front_door import PATHS, CompletionPieces, FrontDoor, corrected, is_front_door, refuse
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

# How many threads execute calls outside the event loop: those that wait for the store, those with large bodies, whose
# processing would block the loop, those that report the server's state, and those that read a whole log or policy.
_THREADS = 40
_LARGE_THREADS = 2
_WATCH_THREADS = 4
_COMPUTING_THREADS = 2

_SHARE_EVERY = 1.0  # seconds

# The size of a request's body, in bytes:
_SMALL = 4096  # up to this size, processing takes less than a millisecond and is done in the event loop
_LARGE = 16 * 1024

_AT_ONCE = frozenset({"", "health", "system_config"})  # these do not wait for the store; "" are refusals
_EXECUTIONS = frozenset({"run", "chat", "run_agent", *STREAMS})
_CHECKING = frozenset({"system_status", "system_config"})  # these check whether the model server responds
_COMPUTING = frozenset({"test_policy", "verify_audit"})  # these compute for as long as the policy or log requires
_WATCHING = frozenset({"system_status", "system_metrics"})

_log = logging.getLogger("hestiaos_local")


ServiceResponse = Result | BaseException | EncodedResponse | Events | AsyncEvents | CompletionPieces
"""A result, an exception, an encoded response, the events of a stream, or the pieces of a completion."""


@frozen
class Service:
    """A platform with the options that it is served with.

    `access` decides which requests are accepted. `token_delay`, `heartbeat`, `on_request` and `grace` are those of
    `serve`. `shared_metrics` are the metrics of several workers.
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
        """Return the platform's response to an accepted request, or its refusal.

        A refusal has the error format of the API that was addressed. `record` is filled for the log of requests.
        """
        response = await self._respond(call, record or ResponseRecord())
        if isinstance(response, StatusError) and is_front_door(call.target):
            return refuse(corrected(response, call.target))
        return response

    async def _respond(self, call: ServerRequest, record: ResponseRecord) -> ServiceResponse:
        if call.response is not None:
            return call.response
        # The key may have been revoked since the head was checked.
        key = None if call.refusal is not None else self.access.authorize(call)
        if isinstance(key, StatusError):
            return key
        name = record.key = None if key is None else key.name
        if key is not None and call.key is not None:  # a file of keys has only hashes: the platform learns the key here
            self.platform.hide(call.key)
        if call.resource in PATHS:
            return await self.front_door.respond(call, self._caller(call), name)
        if call.resource == OPENAPI:
            return encode_json(openapi_document(protected=self.access.keys is not None))
        if call.resource in PAGES:
            return respond_page(call)
        if call.resource == METRICS:
            return await encode_metrics(self.platform.measurements.counts(), self.shared_metrics)
        response: ServiceResponse
        if self._is_awaited(call):
            response = await self.platform.respond_async(call, self._caller(call), key=name)
        elif self._is_quick(call):
            response = self.platform.respond(call, key=name)
        else:  # not cancelled, even if the server stops: its result is stored before the platform is closed
            respond = partial(self.platform.respond, call, key=name)
            response = await to_thread.run_sync(respond, limiter=self._threads_for(call))
        if isinstance(response, StoreError):
            _log.error("%s failed: %s", call.operation, response)
            return unavailable(response, "the server's store is unavailable")
        if isinstance(response, HealthResponse) and key is None and self.access.keys is not None:
            return encode_json({"status": response.status, "version": response.version})
        return response

    async def share_metrics(self) -> None:
        """Keep this worker's part of the shared metrics up to date until cancelled, if there are shared metrics."""
        if self.shared_metrics is None:
            return
        try:
            while True:
                try:
                    await sleep(_SHARE_EVERY)
                finally:  # write the final values too
                    self.shared_metrics.write(metrics_of(self.platform.measurements.counts()))
        except OSError as error:
            _log.error("this worker's metrics cannot be shared with the other workers any more: %s", error)
        finally:
            self.shared_metrics.close()

    def may_take_long(self, call: ServerRequest) -> bool:
        """Return whether a model works on the call, which is then cancelled if the client disconnects."""
        return not self.platform.echoes and (call.operation in _EXECUTIONS or call.resource in PATHS)

    @property
    def pace(self) -> float:
        """The delay before each token in seconds, which is 0 for a real model."""
        return self.token_delay if self.platform.echoes else 0.0

    def _is_awaited(self, call: ServerRequest) -> bool:
        """Return whether to execute a call as a coroutine: it waits for a model, or for the store while streaming."""
        if call.operation in STREAMS:
            return self.platform.blocking or call.last_event_id is not None  # resuming may wait for a run in progress
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
        """Return whether to execute a call in the event loop. A thread costs 60 to 90 µs, a fifth of a small call.

        A thread is needed if the call may wait: a file may be locked for seconds, and so may the store in memory by a
        thread with a large body. Computing in a thread still competes with the event loop for the interpreter.
        """
        if call.operation in _AT_ONCE:
            return True
        limiters = (self.threads, self.large_threads, self.computing_threads)
        idle = not any(limiter.borrowed_tokens for limiter in limiters)
        return self.platform.storage == "memory" and idle and _size(call) <= _SMALL and call.operation not in _COMPUTING


async def _at_once(function: Callable[[], Any]) -> Any:
    return function()


def _size(call: ServerRequest) -> float:
    """Return the size of a request's body in bytes, infinite if it is unknown."""
    length = _length(call)
    return inf if length is None else length


def _length(call: ServerRequest) -> int | None:
    length = call.headers.get("content-length", "0")
    return None if "transfer-encoding" in call.headers or not length.isdecimal() else int(length)

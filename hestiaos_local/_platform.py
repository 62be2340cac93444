"""The platform itself: what each of the wire's operations does. Clock and ids are handed in, I/O is the storage's."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, closing
from inspect import iscoroutinefunction
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar, get_args
from uuid import uuid4

from hestiaos_local._constraints import check_constraints
from hestiaos_local._executions import MAX_OUTPUT, TIMEOUT, Executions
from hestiaos_local._flow import Await, Call, Caller, Disconnect, Emit, Flow, drive, drive_sync
from hestiaos_local._idempotency import fingerprint, idempotent
from hestiaos_local._measurements import Measurements
from hestiaos_local._policy import Policy, Verdict
from hestiaos_local._streams import RunEvents
from hestiaos_local.execution import Agent, Checkable, EchoExecutor, Executor, Work
from hestiaos_local.storage import MAX_RESULTS, Retention, Storage, Store, StoreError, TraceRecord
from hestiaos_proto import (
    MAX_BODY_SIZE,
    AgentResult,
    ChatResponse,
    GovernanceBlock,
    HealthResponse,
    InvalidInput,
    Model,
    NotFound,
    Result,
    RunResponse,
    ServerError,
    ServerRequest,
    StatusError,
    StreamEvent,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    __version__,
    error_events,
    json,
)

__all__ = ["AsyncEvents", "Events", "Platform", "first_of", "unavailable"]

_ACTIVE = 30 * 60.0  # seconds since its last message in which a session counts as active
_PRUNED_EVERY = 100  # executions
_RECENT = 100  # executions that are compared with all, to see whether governance drifts

_CRASHED = 60.0  # seconds after its timeout until an execution that has not ended counts as crashed

Arguments = Mapping[str, Any]
M = TypeVar("M", bound=Model)
Events = Generator[StreamEvent, None, None]


class AsyncEvents(AsyncIterator[Any]):
    """The events of a stream on an event loop."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the iterator, and so cancel the work."""


_log = logging.getLogger("hestiaos_local")


class Platform:
    """A deterministic HestiaOS.

    `policy` is the default policy where none is given, `store` one in memory; without a `retention` all is kept.
    `executor` carries out what is allowed: by default it is the echo, for development. `agents` are those that there
    are; without them any may be named. `clock` gives seconds since 1970, and `new_id` a new id for a trace or a
    session. Several threads may use it. Closing it closes its store.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        store: Storage | None = None,
        executor: Executor | None = None,
        agents: Mapping[str, Agent] | None = None,
        retention: Retention | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._policy = Policy.default() if policy is None else policy
        self._storage: Storage = Store() if store is None else store
        self.executor: Executor = EchoExecutor() if executor is None else executor
        self._retention = retention
        self._clock = clock
        self._measurements = Measurements(clock)
        self._executions = Executions(
            self._policy, self._storage, agents, self._model, clock, new_id, self._measurements
        )
        self._executed = count(1)

    @property
    def storage(self) -> str:
        """Where it keeps what it remembers: `"memory"` or `"sqlite"`."""
        return self._storage.kind

    def close(self) -> None:
        """Close the platform and its store. A second time does nothing."""
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def measurements(self) -> Measurements:
        """What it counts."""
        return self._measurements

    @property
    def echoes(self) -> bool:
        """Whether its executor is the echo, which waits for nothing."""
        return isinstance(self.executor, EchoExecutor)

    @property
    def blocking(self) -> bool:
        """Whether an execution may wait for something: an event loop then asks by `respond_async`."""
        return self._storage.blocking or not self.echoes

    def answer(self, call: ServerRequest) -> Result | Events:
        """The call's result; a stream's is the generator of its `StreamEvent`s, which nothing refuses any more.

        Raises the `StatusError` of a refusal.
        """
        with self._measurements.request(call.operation):
            items = drive_sync(self._flow(call), self.executor)
            first = next(items)
            if call.operation == "run_stream":
                return _with_first(first, items)
            _end(items)
            result: Result = first
            return result

    def respond(self, call: ServerRequest) -> Result | Events | BaseException:
        """As `answer`, for what carries the response to a client: an exception is returned instead of raised.

        What is no refusal is logged, but for a `StoreError`, whose one line is left to be said where it helps.
        """
        try:
            return self.answer(call)
        except (Exception, Disconnect) as error:
            return _told(call, error)

    async def respond_async(self, call: ServerRequest, caller: Caller) -> Result | AsyncEvents | BaseException:
        """As `respond`, on an event loop; a stream is an asynchronous iterator, which has to be closed by `aclose`.

        `caller` calls what may wait for the storage.
        """
        try:
            with self._measurements.request(call.operation):
                items = drive(self._flow(call), self.executor, caller)
                result: Result | AsyncEvents = await first_of(items, stream=call.operation == "run_stream")
                return result
        except (Exception, Disconnect) as error:
            return _told(call, error)

    def complete(self, work: Work, caller: Caller) -> AsyncGenerator[Any, None]:
        """The trace and the outputs of a work that came by OpenAI's API. Raises the `StatusError` of a refusal."""
        return drive(self._completion(work), self.executor, caller)

    def _completion(self, work: Work) -> Flow[None]:
        with self._measurements.request("chat_completions"):
            yield from self._executions.complete(work)
        yield Call(self._prune)

    async def models(self) -> list[str]:
        """The names of the models that a work may ask for."""
        listed: Any = getattr(self.executor, "models", None)
        if iscoroutinefunction(listed):  # a model server has to be asked
            listed = await listed()
        return [self._model()] if listed is None else list(listed)

    def _flow(self, call: ServerRequest) -> Flow[None]:
        """What is done for a call. The first item that it emits is the result, or the first of a stream's events."""
        if call.refusal is not None:
            raise call.refusal
        if call.operation == "run_stream":
            return self._stream(call)
        if call.operation in _EXECUTIONS:
            return self._execution(call)
        if call.operation == "system_status":
            return self._system_status()
        if call.operation == "system_config":
            return self._system_config()
        return self._operation(call)

    def _operation(self, call: ServerRequest) -> Flow[None]:
        _check_text(call)
        yield Emit((yield Call(lambda: _OPERATIONS[call.operation](self, call.arguments))))

    def _execution(self, call: ServerRequest) -> Flow[None]:
        model, execute = _EXECUTIONS[call.operation]
        result = yield from self._once(call, model, execute(self._executions, call.arguments))
        if isinstance(result, GovernanceBlock):
            raise result
        yield Emit(result)

    def _stream(self, call: ServerRequest) -> Flow[None]:
        """The events of a run. What refuses it is raised before the first; what fails then is said by the last."""
        events = RunEvents(self._clock)
        try:
            result = yield from self._once(call, RunResponse, self._executions.run(call.arguments, events))
            if isinstance(result, GovernanceBlock):
                raise result
            for event in events.end(result):
                yield Emit(event)
        except Exception as error:
            if events.last is None:
                raise
            if not isinstance(error, StatusError):  # the client is told that the server failed, the log says why
                _log.exception("a stream failed")
            for event in error_events(error, events.last):
                yield Emit(event)

    def _once(self, call: ServerRequest, model: type[M], flow: Flow[M | GovernanceBlock]) -> Flow[M | GovernanceBlock]:
        """What a flow comes to, executed once for an Idempotency-Key."""
        key = call.idempotency_key
        request = _check_text(call)
        check_constraints(call.operation, call.arguments)
        if key is not None:
            lease = call.arguments.get("timeout_ms", TIMEOUT * 1000) / 1000 + _CRASHED
            flow = idempotent(self._storage, key, request, model, flow, self._clock, lease)
        result = yield from flow
        yield Call(self._prune)
        return result

    def _prune(self) -> None:
        """Keep to the retention, after every so many executions."""
        if self._retention is not None and next(self._executed) % _PRUNED_EVERY == 0:
            try:
                self._storage.prune(self._retention, now=self._clock())
            except StoreError as error:  # the execution is over, and a later one does it
                _log.error("what is too old was not deleted: %s", error)

    # What is said of governance.

    def _explain(self, arguments: Arguments) -> dict[str, Any]:
        command_type, text = arguments["command_type"], "\n".join(_texts(arguments["command_input"]))
        decision = self._policy.decide(command_type, text)
        return {
            "command_type": command_type,
            "decision": decision.verdict,
            "reason": decision.reason,
            "risk_score": decision.risk_score,
            "policy": self._policy.name,
            "violations": decision.violations,
        }

    def _governance_status(self, arguments: Arguments) -> dict[str, Any]:
        """How steady the decisions are.

        `drift_score`, from 0 to 1, is how far the share of executions that were not simply allowed differs between
        the newest 100 and all; `stability_score` is 1 less that.
        """
        every, recent = self._storage.decisions(), self._storage.decisions(_RECENT)
        drift = abs(_restricted(recent) - _restricted(every))
        return {
            "stability_score": 1.0 - drift,
            "drift_score": drift,
            "decisions": {verdict: every.get(verdict, 0) for verdict in get_args(Verdict)},
            "policy": self._policy.name,
        }

    def _trace(self, arguments: Arguments) -> TraceResponse:
        return TraceResponse.from_wire(self._found(arguments["trace_id"]).facts["trace"])

    def _governance_trace(self, arguments: Arguments) -> dict[str, Any]:
        """All that is known of an execution: its trace, what was commanded, and, once it is over, how it ended."""
        record = self._found(arguments["command_id"])
        ended = {} if record.outcome is None else {"outcome": record.outcome.status}
        return {**record.facts["trace"], **record.facts["command"], **ended}

    def _found(self, trace_id: str) -> TraceRecord:
        if (found := self._storage.trace(trace_id)) is None:
            raise NotFound(f"there is no trace {trace_id!r}")
        return found

    # Secrets.

    def _get_secret(self, arguments: Arguments) -> str:
        if (value := self._storage.secret(arguments["key"])) is None:
            raise NotFound(f"there is no secret {arguments['key']!r}")
        return value

    def _set_secret(self, arguments: Arguments) -> None:
        self._storage.set_secret(arguments["key"], arguments["value"], arguments["provider"])

    def _delete_secret(self, arguments: Arguments) -> None:
        if not self._storage.delete_secret(arguments["key"]):
            raise NotFound(f"there is no secret {arguments['key']!r}")

    # The system.

    def _health(self, arguments: Arguments) -> HealthResponse:
        return HealthResponse(
            status="ok", version=__version__, uptime_seconds=self._measurements.uptime(), api_version="v1"
        )

    def _system_status(self) -> Flow[None]:
        """How the system is. The two kinds of model servers are not told apart: both say whether ours answers."""
        storage = yield Call(self._storage.works)
        fault = yield from self._model_fault()
        reached = isinstance(self.executor, Checkable) and fault is None
        status = SystemStatus(
            status="OK" if storage and fault is None else "DEGRADED",
            version=__version__,
            uptime_seconds=self._measurements.uptime(),
            ollama=reached,
            vllm=reached,
            dsgk=storage,
            storage=storage,
        )
        yield Emit(status)

    def _model(self) -> str:
        """The name of the model that answers those who name none."""
        return getattr(self.executor, "model", None) or EchoExecutor.model

    def _system_config(self) -> Flow[None]:
        """What it is made of, and why its model server cannot be used: `system.status` may say no more than that."""
        fault = yield from self._model_fault()
        config: dict[str, Any] = {
            "version": __version__,
            "policy": self._policy.name,
            "storage": self.storage,
            "model": self._model(),
            "model_error": None if fault is None else fault.message,
            "limits": {"max_body_bytes": MAX_BODY_SIZE, "max_output_chars": MAX_OUTPUT, "kept_results": MAX_RESULTS},
        }
        yield Emit(config)

    def _model_fault(self) -> Flow[StatusError | None]:
        """Why the model server cannot be used; `None` where it can, and where there is none."""
        executor = self.executor
        if not isinstance(executor, Checkable):
            return None
        fault: StatusError | None = yield Await(executor.check)
        return fault

    def _system_metrics(self, arguments: Arguments) -> SystemMetrics:
        active = self._storage.active_sessions(self._clock() - _ACTIVE)
        return SystemMetrics(self._measurements.metrics() | {"active_sessions": active})


_EXECUTIONS: Mapping[str, tuple[type[Model], Callable[[Executions, Arguments], Flow[Any]]]] = {
    "run": (RunResponse, Executions.run),
    "chat": (ChatResponse, Executions.chat),
    "run_agent": (AgentResult, Executions.run_agent),
}

_OPERATIONS: Mapping[str, Callable[[Platform, Arguments], Result]] = {
    "health": Platform._health,
    "trace": Platform._trace,
    "system_metrics": Platform._system_metrics,
    "get_secret": Platform._get_secret,
    "set_secret": Platform._set_secret,
    "delete_secret": Platform._delete_secret,
    "explain": Platform._explain,
    "governance_status": Platform._governance_status,
    "governance_trace": Platform._governance_trace,
}


def _check_text(call: ServerRequest) -> str:
    """The request's fingerprint. Raises `InvalidInput` for what has none: JSON can escape a lone surrogate."""
    try:
        return fingerprint(call.operation, call.arguments)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def _told(call: ServerRequest, error: Exception | Disconnect) -> BaseException:
    """The exception, for the client; the log says why where the server failed."""
    if not isinstance(error, (StatusError, StoreError, Disconnect)):
        _log.error("%s failed", call.operation, exc_info=error)
    return error


def _with_first(first: StreamEvent, events: Events) -> Events:
    with closing(events):
        yield first
        yield from events


async def first_of(items: AsyncGenerator[Any, None], *, stream: bool) -> Any:
    """The first item; of a stream all items, when the first is there."""
    async with AsyncExitStack() as opened:
        opened.push_async_callback(items.aclose)
        first = await anext(items)
        if stream:
            opened.pop_all()
            return Resumed(first, items)
        async for _ in items:
            raise AssertionError("one result is emitted")
        return first


class Resumed(AsyncEvents):
    """The items of an iterator whose first one was taken already."""

    def __init__(self, first: object, items: AsyncGenerator[Any, None]) -> None:
        self._first = [first]
        self._items = items

    async def __anext__(self) -> Any:
        return self._first.pop() if self._first else await anext(self._items)

    async def aclose(self) -> None:
        """Close the iterator, and so cancel the work."""
        await self._items.aclose()


def _end(items: Generator[Any, None, None]) -> None:
    for _ in items:
        raise AssertionError("one result is emitted")


def unavailable(error: StoreError, message: str) -> ServerError:
    """What a client is told of a store that cannot be used: nothing was executed, so that it may repeat the request."""
    status = 500 if error.problem == "encrypted" else 503  # a repeat finds no key either
    return ServerError(message, status_code=status, code="STORE_UNAVAILABLE", retry_after=error.retry_after)


def _texts(value: Any) -> Iterator[str]:
    """The text of all values that a JSON value holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
    else:
        yield json.dumps(value).decode()


def _restricted(decisions: Mapping[str, int]) -> float:
    """The share of decisions other than ALLOW."""
    total = sum(decisions.values())
    return 1 - decisions.get("ALLOW", 0) / total if total else 0.0

"""The platform, which executes calls. Clock and ids are arguments; storage and executor do the I/O."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from hestiaos_local._arguments import check_keep, check_store
from hestiaos_local._faults import logged
from hestiaos_local._logging import logger
from hestiaos_local._measurements import Measurements
from hestiaos_local._run_streams import STREAMS, RunStreams
from hestiaos_local._setup import rehearse, set_up
from hestiaos_local.decisions import HiddenValues, Keep, kept_result
from hestiaos_local.execution import Agent, EchoExecutor, Executor, Work
from hestiaos_local.flow import (
    AsyncEvents,
    Call,
    Caller,
    Disconnect,
    Emit,
    Events,
    Flow,
    drive,
    drive_sync,
    first_of,
    first_of_sync,
)
from hestiaos_local.governance import Facts, Policy
from hestiaos_local.operations import (
    TIMEOUT,
    EventLog,
    Executions,
    RunEvents,
    check_constraints,
    check_text,
    idempotent,
    list_models,
)
from hestiaos_local.storage import Retention, Storage, Store, StoreError
from hestiaos_proto import (
    AgentResult,
    ChatResponse,
    GovernanceBlock,
    Model,
    Result,
    RunResponse,
    ServerRequest,
)

__all__ = ["Platform"]

_PRUNED_EVERY = 100  # executions
_CRASHED = 60.0  # seconds after its timeout from which an execution counts as crashed

Arguments = Mapping[str, Any]
M = TypeVar("M", bound=Model)


class Platform:
    """A deterministic HestiaOS.

    By default, `policy` is the built-in one, `store` is in memory, `executor` is an echo, and without a `retention`
    everything is kept. `agents` are the known agents; if None, any name is accepted. With `keep="hash"`, traces contain
    the SHA-256 of texts instead of the texts, and the texts of approvals and stored results are not kept. `clock`
    returns seconds since 1970, `new_id` a unique id. Several threads may share a platform. Closing it closes its store.
    Raises `TypeError` for an argument of another type, and `ValueError` for an unknown `keep`.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        store: Storage | None = None,
        executor: Executor | None = None,
        agents: Mapping[str, Agent] | None = None,
        retention: Retention | None = None,
        keep: Keep = "text",
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        check_keep(keep)
        self._storage: Storage = Store() if store is None else store
        check_store(self._storage)
        self._retention = retention
        self._keep: Keep = keep
        self._clock = clock
        self._measurements = Measurements(clock)
        self._hidden = HiddenValues(self._storage)
        self._set_up = partial(
            set_up,
            storage=self._storage,
            hidden=self._hidden,
            keep=keep,
            clock=clock,
            new_id=new_id,
            measurements=self._measurements,
        )
        policy = Policy.default() if policy is None else policy
        self._setup = self._set_up(policy, EchoExecutor() if executor is None else executor, agents)
        self._streams = RunStreams(self._storage, self._once, clock)
        self._executed = count(1)

    def reload(
        self, policy: Policy, *, executor: Executor | None = None, agents: Mapping[str, Agent] | None = None
    ) -> None:
        """Replace the policy and, if an `executor` is given, the executor and the agents, atomically.

        Executions in progress continue with what they began with.
        """
        if executor is None:
            executor, agents = self._setup.executor, self._setup.agents
        self._setup = self._set_up(policy, executor, agents)

    def prepare(self, policy: Policy | None = None) -> None:
        """Compile `policy`, by default the current one, and load the operations, so that no request waits for it."""
        rehearse(self._setup.governor.policy if policy is None else policy)
        self._setup.operations()

    @property
    def storage(self) -> str:
        """The kind of its storage: `"memory"`, `"sqlite"` or `"postgresql"`."""
        return self._storage.kind

    def close(self) -> None:
        """Close the platform and its store. Closing it again does nothing."""
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def hide(self, value: str) -> None:
        """Redact this value, such as an API key, in every text that is written."""
        self._hidden.add(value)

    @property
    def measurements(self) -> Measurements:
        """The metrics of the platform."""
        return self._measurements

    @property
    def echoes(self) -> bool:
        """Whether its executor is the echo, which never waits."""
        return isinstance(self._setup.executor, EchoExecutor)

    @property
    def blocking(self) -> bool:
        """Whether an execution may wait, so that an event loop has to call `respond_async`."""
        return self._storage.blocking or not self.echoes

    def answer(self, call: ServerRequest, *, key: str | None = None) -> Result | Events:
        """Execute a call and return its result. That of a stream is a generator of `StreamEvent`s.

        `key` is the name of the caller's API key. Raises a `StatusError` if the call is refused; an error after a
        stream has begun is one of its events.
        """
        with self._measurements.request(call.operation):
            items = drive_sync(self._flow(call, key))
            result: Result | Events = first_of_sync(items, stream=call.operation in STREAMS)
            return result

    def respond(self, call: ServerRequest, *, key: str | None = None) -> Result | Events | BaseException:
        """Execute like `answer`, but return exceptions instead of raising them, to be sent to a client.

        An exception that is not a refusal is logged, except a `StoreError`, which the caller logs in one line.
        """
        try:
            return self.answer(call, key=key)
        except (Exception, Disconnect) as error:
            return logged(call, error)

    async def respond_async(
        self, call: ServerRequest, caller: Caller, *, key: str | None = None
    ) -> Result | AsyncEvents | BaseException:
        """Execute like `respond`, on an event loop. A stream is an asynchronous iterator; close it with `aclose`.

        `caller` is used to call functions that may wait for the storage.
        """
        try:
            with self._measurements.request(call.operation):
                items = drive(self._flow(call, key), caller)
                result: Result | AsyncEvents = await first_of(items, stream=call.operation in STREAMS)
                return result
        except (Exception, Disconnect) as error:
            return logged(call, error)

    def complete(self, work: Work, caller: Caller, *, key: str | None = None) -> AsyncGenerator[Any, None]:
        """Execute a request of OpenAI's API. Yield its trace, then its outputs. Raises a `StatusError` if refused."""
        return drive(self._completion(work, key), caller)

    def _completion(self, work: Work, key: str | None) -> Flow[None]:
        with self._measurements.request("chat_completions"):
            yield from self._setup.executions.complete(work, key=key)
        yield Call(self._prune)

    @property
    def gateways(self) -> frozenset[str]:
        """The names of its executor in the `Via` of requests to model servers (RFC 9110, section 7.6.3)."""
        names: frozenset[str] = getattr(self._setup.executor, "gateways", frozenset())
        return names

    async def models(self) -> list[str]:
        """Return the names of the available models."""
        return await list_models(self._setup.executor)

    def run_log(self, call: ServerRequest) -> EventLog | None:
        """Return the log of the run that this request began, if its stream can be resumed."""
        return self._streams.log(call)

    def _flow(self, call: ServerRequest, key: str | None) -> Flow[None]:
        """Return the flow of a call. The first item that it emits is the result, or the first event of a stream."""
        if call.refusal is not None:
            raise call.refusal
        if call.operation in STREAMS:
            if call.last_event_id is not None:
                return self._streams.resume(call, key)
            return self._streams.begin(call, key, self._setup.executions)
        if call.operation in _EXECUTIONS:
            return self._execution(call, key)
        return self._operation(call, key)

    def _operation(self, call: ServerRequest, key: str | None) -> Flow[None]:
        check_text(call)
        check_constraints(call.operation, call.arguments)
        yield Emit((yield from self._setup.operations().answer(call.operation, call.arguments, key=key)))

    def _execution(self, call: ServerRequest, key: str | None) -> Flow[None]:
        model, execute = _EXECUTIONS[call.operation]
        result = yield from self._once(call, key, model, execute(self._setup.executions, call.arguments, key=key))
        if isinstance(result, GovernanceBlock):
            raise result
        yield Emit(result)

    def _once(
        self,
        call: ServerRequest,
        key: str | None,
        model: type[M],
        flow: Flow[M | GovernanceBlock],
        events: RunEvents | None = None,
    ) -> Flow[M | GovernanceBlock]:
        """Execute a flow once for an Idempotency-Key. Return its result."""
        request = check_text(call, key)
        check_constraints(call.operation, call.arguments)
        if (once := call.idempotency_key) is not None:
            lease = call.arguments.get("timeout_ms", TIMEOUT * 1000) / 1000 + _CRASHED
            kept = self._kept(call, key)
            flow = idempotent(self._storage, once, request, model, flow, self._clock, lease, kept, events)
        result = yield from flow
        yield Call(self._prune)
        return result

    def _kept(self, call: ServerRequest, key: str | None) -> Callable[[M], M | None]:
        """Return the function that reduces a call's result to what may be stored, which returns None for nothing."""
        if self._keep == "hash":
            return lambda result: None
        facts = Facts(agent=call.arguments.get("agent_id"), session=call.arguments.get("session_id"), key=key)
        return lambda result: kept_result(result, self._setup.governor.record_redactor(facts))

    def _prune(self) -> None:
        """Apply the retention at every `_PRUNED_EVERY`th execution."""
        if self._retention is not None and next(self._executed) % _PRUNED_EVERY == 0:
            try:
                self._storage.prune(self._retention, now=self._clock())
            except StoreError as error:  # the execution has succeeded; a later one prunes
                logger().error("the retention could not be applied: %s", error)


_EXECUTIONS: Mapping[str, tuple[type[Model], Callable[..., Flow[Any]]]] = {
    "run": (RunResponse, Executions.run),
    "chat": (ChatResponse, Executions.chat),
    "run_agent": (AgentResult, Executions.run_agent),
}

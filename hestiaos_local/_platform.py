"""The platform itself: what each of the wire's operations does. Clock and ids are handed in, I/O is the storage's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Self, get_args
from uuid import uuid4

from hestiaos_local._executions import MAX_OUTPUT, MODEL, Executions
from hestiaos_local._idempotency import fingerprint, idempotent
from hestiaos_local._measurements import Measurements
from hestiaos_local._policy import Policy, Verdict
from hestiaos_local._streams import Events, run_events, to_the_end
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
    RunResponse,
    ServerError,
    ServerRequest,
    StatusError,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    __version__,
    json,
)

__all__ = ["Platform", "unavailable"]

_ACTIVE = 30 * 60.0  # seconds since its last message in which a session counts as active
_PRUNED_EVERY = 100  # executions
_RECENT = 100  # executions that are compared with all, to see whether governance drifts

Arguments = Mapping[str, Any]

_log = logging.getLogger("hestiaos_local")


class Platform:
    """A deterministic HestiaOS.

    `policy` is the default policy where none is given, `store` one in memory; without a `retention` all is kept.
    `clock` gives seconds since 1970, and `new_id` a new id for a trace or a session. Several threads may use it.
    Closing it closes its store.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        store: Storage | None = None,
        retention: Retention | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._policy = Policy.default() if policy is None else policy
        self._storage: Storage = Store() if store is None else store
        self._retention = retention
        self._clock = clock
        self._executions = Executions(self._policy, self._storage, clock, new_id)
        self._executed = count(1)
        self._measurements = Measurements(clock)

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

    def answer(self, call: ServerRequest) -> object:
        """The call's result; a stream's is the generator of its `StreamEvent`s, which nothing refuses any more.

        Raises the `StatusError` of a refusal.
        """
        with self._measurements.request():
            if call.refusal is not None:
                raise call.refusal
            try:
                request = fingerprint(call.operation, call.arguments)
            except ValueError as error:  # JSON can escape a lone surrogate, which UTF-8 cannot hold
                raise InvalidInput(str(error)) from None
            if call.operation in _EXECUTIONS:
                return self._execute(call, request)
            return _OPERATIONS[call.operation](self, call.arguments)

    def respond(self, call: ServerRequest) -> object:
        """As `answer`, for what carries the response to a client: an exception is returned instead of raised.

        A stream that fails says so in its own events. What is not a refusal is logged, but for a `StoreError`,
        whose one line is left to be said where it helps.
        """
        try:
            result = self.answer(call)
        except (StatusError, StoreError) as told:
            return told
        except Exception as error:  # the client is told that the server failed, the log says why
            _log.exception("%s failed", call.operation)
            return error
        return to_the_end(result) if isinstance(result, Generator) else result

    def _execute(self, call: ServerRequest, request: str) -> Model | Events:
        model, work = _EXECUTIONS[call.operation]
        if call.idempotency_key is None:
            result = work(self._executions, call.arguments)
        else:
            result = idempotent(
                self._storage,
                call.idempotency_key,
                request,
                model,
                lambda: work(self._executions, call.arguments),
                self._clock,
            )
        self._prune()
        if isinstance(result, GovernanceBlock):
            raise result
        if call.operation == "run_stream":
            assert isinstance(result, RunResponse), "a stream is that of a run"
            return run_events(result, self._clock)
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

    def _system_status(self, arguments: Arguments) -> SystemStatus:
        storage = self._storage.works()
        return SystemStatus(
            status="OK",
            version=__version__,
            uptime_seconds=self._measurements.uptime(),
            ollama=False,
            vllm=False,
            dsgk=storage,
            storage=storage,
        )

    def _system_config(self, arguments: Arguments) -> dict[str, Any]:
        return {
            "version": __version__,
            "policy": self._policy.name,
            "storage": self.storage,
            "model": MODEL,
            "limits": {"max_body_bytes": MAX_BODY_SIZE, "max_output_chars": MAX_OUTPUT, "kept_results": MAX_RESULTS},
        }

    def _system_metrics(self, arguments: Arguments) -> SystemMetrics:
        active = self._storage.active_sessions(self._clock() - _ACTIVE)
        return SystemMetrics(self._measurements.metrics() | {"active_sessions": active})


_EXECUTIONS: Mapping[str, tuple[type[Model], Callable[[Executions, Arguments], Model | GovernanceBlock]]] = {
    "run": (RunResponse, Executions.run),
    "run_stream": (RunResponse, Executions.run),
    "chat": (ChatResponse, Executions.chat),
    "run_agent": (AgentResult, Executions.run_agent),
}

_OPERATIONS: Mapping[str, Callable[[Platform, Arguments], object]] = {
    "health": Platform._health,
    "trace": Platform._trace,
    "system_status": Platform._system_status,
    "system_config": Platform._system_config,
    "system_metrics": Platform._system_metrics,
    "get_secret": Platform._get_secret,
    "set_secret": Platform._set_secret,
    "delete_secret": Platform._delete_secret,
    "explain": Platform._explain,
    "governance_status": Platform._governance_status,
    "governance_trace": Platform._governance_trace,
}


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

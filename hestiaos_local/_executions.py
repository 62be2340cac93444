"""What governance decides on: runs, chats and agents. Each leaves its trace in the storage, blocked or not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hestiaos_local._measurements import elapsed
from hestiaos_local._policy import Policy
from hestiaos_local._streams import iso
from hestiaos_local.storage import Outcome, Storage, StoreError, TraceRecord
from hestiaos_proto import (
    AgentResult,
    ChatResponse,
    FieldError,
    GovernanceBlock,
    InvalidInput,
    RunResponse,
    ServerError,
    TraceResponse,
)

__all__ = ["MAX_OUTPUT", "MODEL", "Executions"]

MODEL = "hestia-local"
"""The name of the model that answers chats."""

MAX_OUTPUT = 1024 * 1024
"""Up to how many characters a run's `output` repeats its `result`; beyond, it is `None`. So the response to the longest
input that a request can carry stays within what a client accepts."""

_BUDGETS = {"ALLOW": 1.0, "THROTTLE": 0.5, "BLOCK": 0.0}
_EFFORTS = {None: 1.0, "fast": 0.25, "balanced": 0.5, "deep": 1.0}

_log = logging.getLogger("hestiaos_local")


class Executions:
    """Executes as `policy` decides. A blocked run or chat gives the exception that says so, for it is a result too.

    Raises `StoreError` where a decision cannot be stored; then nothing was executed.
    """

    def __init__(self, policy: Policy, storage: Storage, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._policy = policy
        self._storage = storage
        self._clock = clock
        self._new_id = new_id

    def run(self, arguments: Mapping[str, Any]) -> RunResponse | GovernanceBlock:
        """Process an input."""
        text, mode_hint = arguments["input"], arguments["mode_hint"]
        _check_filled("input", text)
        if mode_hint not in _EFFORTS:
            raise _invalid("mode_hint must be fast, balanced or deep", "body", "context", "mode_hint")
        if arguments["timeout_ms"] < 1:
            raise _invalid("timeout_ms must be 1 or more", "body", "options", "timeout_ms")
        trace = self._govern("RUN", text, _EFFORTS[mode_hint])
        if trace.decision == "BLOCK":
            return _block(trace)
        with self._executed(trace):
            result = f"processed: {text}"
        return RunResponse(
            result=result,
            trace_id=trace.trace_id,
            output=result if len(result) <= MAX_OUTPUT else None,
            mode=trace.decision,
            budget=_BUDGETS[trace.decision] * _EFFORTS[mode_hint],
            latency_ms=trace.latency_ms,
        )

    def chat(self, arguments: Mapping[str, Any]) -> ChatResponse | GovernanceBlock:
        """Reply to a message, and keep both in the session."""
        message = arguments["message"]
        _check_filled("message", message)
        began = self._clock()
        trace = self._govern("CHAT", message)
        if trace.decision == "BLOCK":
            return _block(trace)
        session_id = arguments["session_id"] or self._new_id()
        with self._executed(trace):
            reply = f"processed: {message}"
            messages = [{"role": "user", "content": message}, {"role": "assistant", "content": reply}]
            self._storage.add_messages(session_id, messages, now=began)
        return ChatResponse(
            result=reply,
            session_id=session_id,
            trace_id=trace.trace_id,
            processing_time=elapsed(began, self._clock()),
            model=MODEL,
        )

    def run_agent(self, arguments: Mapping[str, Any]) -> AgentResult:
        """Have an agent process a task; where it is blocked, the result says so."""
        agent_id, task = arguments["agent_id"], arguments["task"]
        _check_filled("agent_id", agent_id)
        _check_filled("task", task)
        trace = self._govern("AGENT", task)
        if trace.decision == "BLOCK":
            return AgentResult(
                result=None, agent_id=agent_id, trace_id=trace.trace_id, status="BLOCKED", error=trace.reason
            )
        with self._executed(trace):
            result = f"processed: {task}"
        return AgentResult(result=result, agent_id=agent_id, trace_id=trace.trace_id, status="COMPLETED")

    def _govern(self, command_type: str, text: str, effort: float = 1.0) -> TraceResponse:
        """Decide on a command. The decision is stored as its trace."""
        began = self._clock()
        decision = self._policy.decide(command_type, text)
        trace = TraceResponse(
            trace_id=self._new_id(),
            decision=decision.verdict,
            violations=decision.violations,
            latency_ms=elapsed(began, self._clock()) * 1000,
            reason=decision.reason,
            risk_score=decision.risk_score,
            policy=self._policy.name,
            mode=decision.verdict,
            budget=_BUDGETS[decision.verdict] * effort,
            timestamp=iso(began),
        )
        command = {"command_id": trace.trace_id, "command_type": command_type, "input": text}
        self._storage.add_trace(
            TraceRecord(
                trace_id=trace.trace_id,
                decision=trace.decision,
                decided_at=began,
                facts={"trace": trace.to_wire(), "command": command},
                outcome=Outcome("blocked") if trace.decision == "BLOCK" else None,
            )
        )
        return trace

    @contextmanager
    def _executed(self, trace: TraceResponse) -> Iterator[None]:
        """Store how the execution inside ends, in its trace.

        What is executed cannot be taken back: where the storage then fails, a `ServerError` says so which no client
        repeats, and an outcome that cannot be stored costs nobody a result that is there.
        """
        began = self._clock()
        try:
            yield
        except BaseException as error:
            self._finish(trace, Outcome("failed", elapsed(began, self._clock()) * 1000, error=type(error).__name__))
            if isinstance(error, StoreError):
                _log.error("%s was executed, but not stored: %s", trace.trace_id, error)
                raise ServerError("executed, but not stored", trace.trace_id, code="INTERNAL_ERROR") from error
            raise
        self._finish(trace, Outcome("completed", elapsed(began, self._clock()) * 1000))

    def _finish(self, trace: TraceResponse, outcome: Outcome) -> None:
        try:
            self._storage.finish_trace(trace.trace_id, outcome)
        except StoreError as error:
            _log.error("the outcome of %s (%s) is not in its trace: %s", trace.trace_id, outcome.status, error)


def _block(trace: TraceResponse) -> GovernanceBlock:
    [violation] = trace.violations
    told = {"rule": violation["rule"], "reason": trace.reason, "risk_score": trace.risk_score, "policy": trace.policy}
    return GovernanceBlock(trace.trace_id, details=told)


def _invalid(message: str, *place: str) -> InvalidInput:
    return InvalidInput(message, None, [FieldError(loc=list(place), msg=message, type="value_error")])


def _check_filled(name: str, text: str) -> None:
    if not text.strip():
        raise _invalid(f"{name} must not be empty", "body", name)

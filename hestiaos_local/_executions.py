"""What governance decides on: runs, chats, agents and completions. Each leaves its trace in the storage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from hestiaos_local._answers import Answer
from hestiaos_local._constraints import EFFORTS
from hestiaos_local._flow import Begin, Call, Cancelled, Emit, Flow, Next
from hestiaos_local._measurements import Measurements, elapsed
from hestiaos_local._streams import RunEvents, iso
from hestiaos_local.execution import (
    Agent,
    Finish,
    Message,
    Output,
    ToolCall,
    Work,
    history_window,
    message_text,
)
from hestiaos_local.governance import Facts, Policy, texts_of
from hestiaos_local.storage import Outcome, Storage, StoreError, TraceRecord
from hestiaos_proto import (
    AgentResult,
    ChatResponse,
    GovernanceBlock,
    NotFound,
    RunResponse,
    ServerError,
    StatusError,
    TraceResponse,
)

__all__ = ["MAX_OUTPUT", "TIMEOUT", "Executions"]

MAX_OUTPUT = 1024 * 1024
"""Up to how many characters a run's `output` repeats its `result`; beyond, it is `None`. So the response to the longest
input that a request can carry stays within what a client accepts."""

TIMEOUT = 600.0
"""How long an execution may take whose request does not say so, in seconds."""

_BUDGETS = {"ALLOW": 1.0, "THROTTLE": 0.5, "BLOCK": 0.0}

# How much of a chat's history the model is sent, the new message included: `history_window`.
_HISTORY_TOKENS = 4096
_HISTORY_MESSAGES = 100

_log = logging.getLogger("hestiaos_local")


class Executions:
    """Executes as `policy` decides. A blocked run or chat gives the exception that says so, for it is a result too.

    `agents` are those that there are; `None` where any may be named. `model` tells the name of the one that answers.
    Raises `StoreError` where a decision cannot be stored; then nothing was executed.
    """

    def __init__(
        self,
        policy: Policy,
        storage: Storage,
        agents: Mapping[str, Agent] | None,
        model: Callable[[], str],
        clock: Callable[[], float],
        new_id: Callable[[], str],
        measurements: Measurements,
    ) -> None:
        self._policy = policy
        self._storage = storage
        self._agents = agents
        self._model = model
        self._clock = clock
        self._new_id = new_id
        self._measurements = measurements

    def run(self, arguments: Mapping[str, Any], events: RunEvents | None = None) -> Flow[RunResponse | GovernanceBlock]:
        """Process an input. Where there are `events`, those of the outputs are emitted, `start` before the first."""
        text, mode_hint = arguments["input"], arguments["mode_hint"]
        agent = self._agent(arguments["agent_id"])
        trace = yield Call(lambda: self._govern("RUN", text, EFFORTS[mode_hint]))
        if trace.decision == "BLOCK":
            return _decided_block(trace)
        if events is not None:
            yield from self._start(trace, events)
        work = Work(messages=[_user(text)], timeout=arguments["timeout_ms"] / 1000)
        answer = yield from self._execute(trace, work, agent, None if events is None else events.output)
        result = answer.text
        return RunResponse(
            result=result,
            trace_id=trace.trace_id,
            output=result if len(result) <= MAX_OUTPUT else None,
            mode=trace.decision,
            budget=_BUDGETS[trace.decision] * EFFORTS[mode_hint],
            latency_ms=trace.latency_ms,
        )

    def chat(self, arguments: Mapping[str, Any]) -> Flow[ChatResponse | GovernanceBlock]:
        """Reply to a message, and keep both in the session."""
        message, session_id = arguments["message"], arguments["session_id"]
        began = self._clock()
        said = _user(message)

        def decide() -> tuple[TraceResponse, list[Message]]:
            last = self._storage.messages(session_id, last=_HISTORY_MESSAGES - 1) if session_id else []
            return self._govern("CHAT", message), last

        trace, history = yield Call(decide)
        if trace.decision == "BLOCK":
            return _decided_block(trace)
        session_id = session_id or self._new_id()
        window = history_window([*history, said], max_tokens=_HISTORY_TOKENS, max_messages=_HISTORY_MESSAGES)

        def keep(answer: Answer) -> None:
            reply = {"role": "assistant", "content": answer.text}
            self._storage.add_messages(session_id, [said, reply], now=began)

        answer = yield from self._execute(trace, Work(messages=window, timeout=TIMEOUT), keep=keep)
        return ChatResponse(
            result=answer.text,
            session_id=session_id,
            trace_id=trace.trace_id,
            processing_time=elapsed(began, self._clock()),
            model=self._model(),
        )

    def run_agent(self, arguments: Mapping[str, Any]) -> Flow[AgentResult]:
        """Have an agent process a task; where it is blocked, the result says so."""
        agent_id, task = arguments["agent_id"], arguments["task"]
        agent = self._agent(agent_id)
        config = texts_of(arguments["config"]) if arguments["config"] else ()
        trace = yield Call(lambda: self._govern("AGENT", task, config=config))
        if trace.decision == "BLOCK":
            return AgentResult(
                result=None, agent_id=agent_id, trace_id=trace.trace_id, status="BLOCKED", error=trace.reason
            )
        try:
            answer = yield from self._execute(trace, Work(messages=[_user(task)], timeout=TIMEOUT), agent)
        except GovernanceBlock as block:
            return AgentResult(
                result=None, agent_id=agent_id, trace_id=trace.trace_id, status="BLOCKED", error=block.details["reason"]
            )
        return AgentResult(result=answer.text, agent_id=agent_id, trace_id=trace.trace_id, status="COMPLETED")

    def complete(self, work: Work) -> Flow[None]:
        """Do the work of a client that speaks OpenAI's API: the trace is emitted, then each output."""
        text = "\n".join(map(message_text, work.messages))
        trace = yield Call(lambda: self._govern("CHAT", text))
        yield Emit(trace)
        if trace.decision == "BLOCK":
            raise _decided_block(trace)
        yield from self._execute(trace, evolve(work, timeout=work.timeout or TIMEOUT), each=lambda output: output)

    def _agent(self, agent_id: str | None) -> Agent | None:
        if agent_id is None or self._agents is None:
            return None
        if (agent := self._agents.get(agent_id)) is None:
            raise NotFound(f"there is no agent {agent_id!r}: there are {', '.join(self._agents) or 'none'}")
        return agent

    def _govern(self, command_type: str, text: str, effort: float = 1.0, config: tuple[str, ...] = ()) -> TraceResponse:
        """Decide on a command, and on the texts of an agent's `config`. The decision is stored as its trace."""
        began = self._clock()
        decision = self._policy.decide(command_type, text, *config)
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
        self._measurements.decided(trace.decision)
        return trace

    def _start(self, trace: TraceResponse, events: RunEvents) -> Flow[None]:
        """Emit `start`. A caller that has gone by then has cancelled the run."""
        try:
            yield Emit(events.start(trace))
        except Cancelled:
            yield from self._finish(trace, Outcome("cancelled"))
            raise

    def _execute(
        self,
        trace: TraceResponse,
        work: Work,
        agent: Agent | None = None,
        each: Callable[[Output], object] | None = None,
        keep: Callable[[Answer], None] | None = None,
    ) -> Flow[Answer]:
        """Have the work done. How it ends is stored in the trace; `keep` stores what else is to be kept of the answer.

        What `each` makes of an output is emitted. What is executed cannot be taken back: where the storage then fails,
        a `ServerError` says so, after which clients do not repeat the request. A result that is there is given even if
        it cannot be stored.
        """
        began = self._clock()
        answer = Answer()
        work = evolve(work, trace_id=trace.trace_id)
        try:
            yield Begin(work if agent is None else agent.prepare(work))
            while (output := (yield Next())) is not None:
                if isinstance(output, ToolCall):
                    self._check_tool_call(output, agent, trace)
                answer.add(output)
                if each is not None and (item := each(output)) is not None:
                    yield Emit(item)
                if isinstance(output, Finish):
                    break
            if keep is not None:
                yield Call(lambda: keep(answer))
        except (Exception, Cancelled) as error:
            status = "cancelled" if isinstance(error, Cancelled) else "failed"
            if isinstance(error, GovernanceBlock):
                status = "blocked"
            yield from self._finish(trace, answer.outcome(status, elapsed(began, self._clock()), error))
            if isinstance(error, StoreError):
                _log.error("%s was executed, but not stored: %s", trace.trace_id, error)
                raise ServerError("executed, but not stored", trace.trace_id, code="INTERNAL_ERROR") from error
            if isinstance(error, StatusError) and error.trace_id is None:
                error.trace_id = trace.trace_id
            raise
        yield from self._finish(trace, answer.outcome("completed", elapsed(began, self._clock())))
        return answer

    def _check_tool_call(self, call: ToolCall, agent: Agent | None, trace: TraceResponse) -> None:
        """Raise the `GovernanceBlock` of a tool that the agent, or the policy, does not allow to be called."""
        if agent is not None and not agent.allows(call.name):
            reason = f"the agent {agent.id!r} may not call the tool {call.name!r}"
            raise _block(trace, "agent-tools", reason, 1.0)
        verdict = self._policy.judge_tool_call(Facts(), call.name, call.arguments)
        if verdict.decision == "BLOCK":
            raise _block(trace, verdict.rule, verdict.reason, verdict.risk)

    def _finish(self, trace: TraceResponse, outcome: Outcome) -> Flow[None]:
        from_model = outcome.error is not None and outcome.error.startswith("MODEL_")
        self._measurements.executed(outcome, outcome.error if from_model else None)
        try:
            yield Call(lambda: self._storage.finish_trace(trace.trace_id, outcome))
        except Exception as error:  # a platform that was closed meanwhile, among others
            _log.error("the outcome of %s (%s) is not in its trace: %s", trace.trace_id, outcome.status, error)


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _decided_block(trace: TraceResponse) -> GovernanceBlock:
    """The block that the decision on the input is."""
    [violation] = trace.violations
    return _block(trace, violation["rule"], trace.reason, trace.risk_score)


def _block(trace: TraceResponse, rule: str | None, reason: str | None, risk: float | None) -> GovernanceBlock:
    details = {"rule": rule, "reason": reason, "risk_score": risk, "policy": trace.policy}
    return GovernanceBlock(trace.trace_id, details=details)

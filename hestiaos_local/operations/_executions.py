"""The operations that are subject to governance and have traces: runs, chats, agents and completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve

from hestiaos_local._measurements import elapsed
from hestiaos_local.decisions import BUDGETS, Answer, Asked, Governed, Governor
from hestiaos_local.execution import Agent, Executor, Message, Output, Work, further_texts, history_window, message_text
from hestiaos_local.flow import Call, Cancelled, Emit, Flow
from hestiaos_local.governance import Facts, texts_of
from hestiaos_local.operations._constraints import EFFORTS
from hestiaos_local.operations._conversations import history_for, said_by
from hestiaos_local.operations._executing import execute
from hestiaos_local.operations._models import default_model, find_model
from hestiaos_local.operations._streams import RunEvents
from hestiaos_local.storage import Storage
from hestiaos_proto import AgentResult, ChatResponse, GovernanceBlock, NotFound, RunResponse

__all__ = ["MAX_OUTPUT", "TIMEOUT", "Executions"]

MAX_OUTPUT = 1024 * 1024
"""The maximum length of a `result` that a run's `output` repeats, in characters. `output` is None for a longer one, so
that the response to the longest possible input does not exceed what a client accepts."""

TIMEOUT = 600.0
"""The default timeout of an execution, in seconds."""

# How much of a chat's history is sent to the model, including the new message (`history_window`).
_HISTORY_TOKENS = 4096
_HISTORY_MESSAGES = 100


class Executions:
    """Executes operations as `governor` decides. A blocked run or chat returns its exception, since it is a result.

    `agents` are the configured agents; if None, any name is accepted. `key` is always the name of the caller's API key.
    Methods raise `StoreError` if the decision cannot be stored; nothing was executed then.
    """

    def __init__(
        self,
        governor: Governor,
        storage: Storage,
        executor: Executor,
        agents: Mapping[str, Agent] | None,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._governor = governor
        self._storage = storage
        self._agents = agents
        self._executor = executor
        self._clock = clock
        self._new_id = new_id

    def run(
        self, arguments: Mapping[str, Any], *, key: str | None = None, events: RunEvents | None = None
    ) -> Flow[RunResponse | GovernanceBlock]:
        """Process an input. With `events`, emit `start` and the events of the outputs."""
        text, effort, agent_id = arguments["input"], EFFORTS[arguments["mode_hint"]], arguments["agent_id"]
        agent = self._agent(agent_id)
        facts = Facts(
            command_type="RUN",
            texts=(text,),
            agent=agent_id,
            session=arguments["session_id"],
            key=key,
            model=(yield from self._model(agent)),
        )

        def prepare(messages: Sequence[Message]) -> Work:
            return _prepared(Work(messages=messages, timeout=arguments["timeout_ms"] / 1000), agent)

        asked = Asked("run", {name: arguments[name] for name in ("input", "agent_id", "session_id", "mode_hint")})
        governed: Governed = yield Call(
            lambda: self._governor.decide(facts, [_user(text)], prepare, asked, effort=effort)
        )
        if (block := governed.block) is not None:
            return block
        if events is not None:
            yield from self._start(governed, events)
        try:
            answer = yield from self._execute(governed, agent, None if events is None else events.output)
        except GovernanceBlock as blocked:
            return blocked
        trace, result = governed.trace, answer.text
        return RunResponse(
            result=result,
            trace_id=trace.trace_id,
            output=result if len(result) <= MAX_OUTPUT else None,
            mode=trace.decision,
            budget=BUDGETS[trace.decision] * effort,
            latency_ms=trace.latency_ms,
        )

    def chat(
        self, arguments: Mapping[str, Any], *, key: str | None = None, events: RunEvents | None = None
    ) -> Flow[ChatResponse | GovernanceBlock]:
        """Reply to a message, and store both in the session. With `events`, emit them as in `run`.

        Raises `NotFound` for a session of another key.
        """
        message, given_id = arguments["message"], arguments["session_id"]
        trace_id = self._new_id()
        session_id = given_id or self._new_id()
        began = self._clock()
        facts = Facts(
            command_type="CHAT", texts=(message,), session=session_id, key=key, model=(yield from self._model())
        )

        def prepare(messages: Sequence[Message]) -> Work:
            window = history_window(messages, max_tokens=_HISTORY_TOKENS, max_messages=_HISTORY_MESSAGES)
            return Work(messages=window, timeout=TIMEOUT)

        def decide() -> Governed:
            kept = self._storage.messages(session_id, last=_HISTORY_MESSAGES - 1) if given_id else []
            history = history_for(kept, session_id, key)
            asked = Asked("chat", {"message": message, "session_id": given_id})
            return self._governor.decide(facts, [*history, _user(message)], prepare, asked, trace_id=trace_id)

        governed: Governed = yield Call(decide)
        if (block := governed.block) is not None:
            return block
        if events is not None:
            yield from self._start(governed, events, session_id)

        def keep(answer: Answer) -> None:
            redactor = self._governor.record_redactor(facts, governed.policy)
            reply = {"role": "assistant", "content": redactor.text(answer.text)}
            asked = said_by(_user(redactor.text(message)), key)
            self._storage.add_messages(session_id, [asked, reply], now=began)

        try:
            answer = yield from self._execute(governed, each=None if events is None else events.output, keep=keep)
        except GovernanceBlock as blocked:
            return blocked
        return ChatResponse(
            result=answer.text,
            session_id=session_id,
            trace_id=governed.trace.trace_id,
            processing_time=elapsed(began, self._clock()),
            model=governed.facts.model or default_model(self._executor),
        )

    def run_agent(self, arguments: Mapping[str, Any], *, key: str | None = None) -> Flow[AgentResult]:
        """Let an agent process a task. If it is blocked, the result has that status."""
        agent_id, task = arguments["agent_id"], arguments["task"]
        agent = self._agent(agent_id)
        config = texts_of(arguments["config"]) if arguments["config"] else ()
        facts = Facts(
            command_type="AGENT", texts=(task, *config), agent=agent_id, key=key, model=(yield from self._model(agent))
        )

        def prepare(messages: Sequence[Message]) -> Work:
            return _prepared(Work(messages=messages, timeout=TIMEOUT), agent)

        asked = Asked("run_agent", {name: arguments[name] for name in ("agent_id", "task", "config")})
        governed: Governed = yield Call(lambda: self._governor.decide(facts, [_user(task)], prepare, asked))
        if (block := governed.block) is not None:
            return _blocked(agent_id, block)
        try:
            answer = yield from self._execute(governed, agent)
        except GovernanceBlock as raised:
            return _blocked(agent_id, raised)
        trace_id = governed.trace.trace_id
        return AgentResult(result=answer.text, agent_id=agent_id, trace_id=trace_id, status="COMPLETED")

    def complete(self, work: Work, *, key: str | None = None) -> Flow[None]:
        """Execute a request of OpenAI's API. Emit the trace, then each output."""
        texts = (*map(message_text, work.messages), *further_texts(work))
        model = yield from self._model(asked=work.model)
        facts = Facts(command_type="CHAT", texts=texts, key=key, model=model)

        def prepare(messages: Sequence[Message]) -> Work:
            return evolve(work, messages=messages, timeout=work.timeout or TIMEOUT)

        of_work = ("messages", "model", "tools", "options", "max_tokens")
        asked = Asked("chat_completions", {name: getattr(work, name) for name in of_work})
        governed: Governed = yield Call(lambda: self._governor.decide(facts, work.messages, prepare, asked))
        yield Emit(governed.trace)
        if (block := governed.block) is not None:
            raise block
        yield from self._execute(governed, each=lambda output: output)

    def _agent(self, agent_id: str | None) -> Agent | None:
        if agent_id is None or self._agents is None:
            return None
        if (agent := self._agents.get(agent_id)) is None:
            raise NotFound(f"there is no agent {agent_id!r}; known agents: {', '.join(self._agents) or 'none'}")
        return agent

    def _model(self, agent: Agent | None = None, asked: str | None = None) -> Flow[str | None]:
        """Return the name of the model: the agent's, the requested one, or the executor's default.

        The default may require a request to the model server, so it is determined only if the policy depends on it.
        """
        if name := (None if agent is None else agent.model) or asked:
            return name
        if self._governor.policy.depends_on("model"):
            return (yield from find_model(self._executor))
        return getattr(self._executor, "model", default_model(self._executor))

    def _start(self, governed: Governed, events: RunEvents, session_id: str | None = None) -> Flow[None]:
        """Emit `start`. If the caller has disconnected, the execution is cancelled."""
        try:
            yield Emit(events.start(governed.trace, session_id))
        except Cancelled:
            yield from self._governor.finish(governed, "cancelled")
            raise

    def _execute(
        self,
        governed: Governed,
        agent: Agent | None = None,
        each: Callable[[Output], object] | None = None,
        keep: Callable[[Answer], None] | None = None,
    ) -> Flow[Answer]:
        return execute(self._executor, self._governor, governed, self._clock, agent=agent, each=each, keep=keep)


def _prepared(work: Work, agent: Agent | None) -> Work:
    """Apply the agent's configuration to the work."""
    return work if agent is None else agent.prepare(work)


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _blocked(agent_id: str, block: GovernanceBlock) -> AgentResult:
    """Return the result of a blocked agent, with the details of the block as extra fields."""
    details = block.details if isinstance(block.details, dict) else {}
    reason = details.get("reason", block.message)
    extra = {name: value for name, value in details.items() if name != "trace_id"}
    return AgentResult(
        result=None, agent_id=agent_id, trace_id=block.trace_id, status="BLOCKED", error=reason, extra=extra
    )

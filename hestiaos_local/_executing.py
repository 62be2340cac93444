"""One execution, once it is decided: the work, what comes of it, and its end."""

from __future__ import annotations

import logging
from collections.abc import Callable

from attrs import evolve

from hestiaos_local._answers import Answer
from hestiaos_local._flow import Begin, Call, Cancelled, Emit, Flow, Next
from hestiaos_local._governing import Governed, Governor
from hestiaos_local._measurements import elapsed
from hestiaos_local.execution import Agent, Finish, Output, ToolCall, Work
from hestiaos_local.governance import Verdict
from hestiaos_local.storage import StoreError
from hestiaos_proto import GovernanceBlock, ServerError, StatusError

__all__ = ["execute"]

_log = logging.getLogger("hestiaos_local")


def execute(
    governor: Governor,
    governed: Governed,
    work: Work,
    clock: Callable[[], float],
    *,
    agent: Agent | None = None,
    each: Callable[[Output], object] | None = None,
    keep: Callable[[Answer], None] | None = None,
) -> Flow[Answer]:
    """Have the work done. How it ends is stored in the trace; `keep` stores what else is to be kept of the answer.

    What `each` makes of an output is emitted. What is executed cannot be taken back: where the storage then fails,
    a `ServerError` says so, after which clients do not repeat the request. A result that is there is given even if it
    cannot be stored.
    """
    began = clock()
    answer = Answer()
    trace_id = governed.trace.trace_id
    work = evolve(work, trace_id=trace_id)
    try:
        yield Begin(work if agent is None else agent.prepare(work))
        while (output := (yield Next())) is not None:
            if isinstance(output, ToolCall):
                _check_tool_call(output, agent, governed)
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
        yield from governor.finish(governed, answer.outcome(status, elapsed(began, clock()), error))
        if isinstance(error, StoreError):
            _log.error("%s was executed, but not stored: %s", trace_id, error)
            raise ServerError("executed, but not stored", trace_id, code="INTERNAL_ERROR") from error
        if isinstance(error, StatusError) and error.trace_id is None:
            error.trace_id = trace_id
        raise
    yield from governor.finish(governed, answer.outcome("completed", elapsed(began, clock())))
    return answer


def _check_tool_call(call: ToolCall, agent: Agent | None, governed: Governed) -> None:
    """Raise the `GovernanceBlock` of a tool that the agent, or the policy, does not allow to be called."""
    if agent is not None and not agent.allows(call.name):
        reason = f"the agent {agent.id!r} may not call the tool {call.name!r}"
        raise governed.block_by(Verdict(decision="BLOCK", rule="agent-tools", reason=reason, risk=1.0))
    verdict = governed.policy.judge_tool_call(governed.facts, call.name, call.arguments)
    if verdict.decision == "BLOCK":
        raise governed.block_by(verdict)

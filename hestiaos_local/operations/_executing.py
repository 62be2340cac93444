"""Execute work after the decision: handle its outputs, and store its outcome."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from hestiaos_local._logging import logger
from hestiaos_local._measurements import elapsed
from hestiaos_local.decisions import Answer, Findings, Governed, GovernedOutputs, Governor, Status
from hestiaos_local.execution import Agent, Executor, Finish, Output
from hestiaos_local.flow import Begin, Call, Cancelled, Emit, Flow, Next, Stop
from hestiaos_local.storage import StoreError
from hestiaos_proto import GovernanceBlock, ServerError, StatusError

__all__ = ["execute"]


def execute(
    executor: Executor,
    governor: Governor,
    governed: Governed,
    clock: Callable[[], float],
    *,
    agent: Agent | None = None,
    each: Callable[[Output], object] | None = None,
    keep: Callable[[Answer], None] | None = None,
) -> Flow[Answer]:
    """Execute the work and store its outcome in the trace. `keep` is called with the answer to store more of it.

    Each allowed output is passed to `each`, whose result is emitted. If the storage fails after the execution, a
    `ServerError` (500) is raised, after which clients do not repeat the request. A complete result is returned even if
    its outcome cannot be stored. If an output or a tool call is blocked, the work is cancelled, then `GovernanceBlock`
    is raised.
    """
    began = clock()
    trace_id = governed.trace.trace_id
    outputs = GovernedOutputs(governed, agent, governor)
    answer = Answer()
    try:
        yield Begin(executor, governed.work)
        while (output := (yield Next())) is not None:
            if outputs.takes_long(output):
                released = yield Call(partial(outputs.receive, output), long=True)
            else:
                released = outputs.receive(output)
            for allowed in released:
                answer.add(allowed)
                if each is not None and (item := each(allowed)) is not None:
                    yield Emit(item)
            if isinstance(output, Finish):
                break
        if keep is not None:
            yield Call(lambda: keep(answer))
    except (Exception, Cancelled) as error:
        if isinstance(error, GovernanceBlock):
            yield from _stop(trace_id)  # before storing the outcome, which takes time
        elif isinstance(error, StatusError):
            _redact(error, governed.work.redact)
        if answer.used is None and outputs.usage is not None:
            answer.add(outputs.usage)
        block = error if isinstance(error, GovernanceBlock) else None
        findings = Findings(outputs.shadow, outputs.redactions, outputs.approvals, block)
        yield from governor.finish(
            governed, _status(error), seconds=elapsed(began, clock()), answer=answer, findings=findings, error=error
        )
        if isinstance(error, StoreError):
            logger().error("%s was executed, but not stored: %s", trace_id, error)
            raise ServerError("executed, but not stored", trace_id, code="INTERNAL_ERROR") from error
        if isinstance(error, StatusError) and error.trace_id is None:
            error.trace_id = trace_id
        raise
    findings = Findings(outputs.shadow, outputs.redactions, outputs.approvals)
    seconds = elapsed(began, clock())
    with suppress(Cancelled):  # a complete result is stored for a repeat; the next effect raises again
        yield from governor.finish(governed, "completed", seconds=seconds, answer=answer, findings=findings)
    return answer


def _stop(trace_id: str) -> Flow[None]:
    """Cancel the work. Exceptions are logged, as they do not concern the caller."""
    try:
        yield Stop()
    except Exception:
        logger().exception("the executor failed while %s was being cancelled", trace_id)


def _redact(error: StatusError, redact: Callable[[str], str]) -> None:
    """Redact an error like output, since a model server's message may quote its model."""
    message = redact(error.message)
    if message != error.message:
        error.message = message
        error.args = (str(error),)
        error.__cause__ = error.__context__ = None  # they contain the original message


def _status(error: BaseException) -> Status:
    if isinstance(error, Cancelled):
        return "cancelled"
    return "blocked" if isinstance(error, GovernanceBlock) else "failed"

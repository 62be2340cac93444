"""Report the decision on a request to the log of requests.

The decision is made deep in a flow, and the result does not always contain it: a chat's does not. It is reported
through a context variable, like the current span in OpenTelemetry. Threads that the task waits for share the context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import define

__all__ = ["Observation", "is_observed", "note", "observe"]


@define
class Observation:
    """What is known of an execution so far. All attributes are None if the request executes nothing.

    `outcome` is `completed`, `blocked`, `failed` or `cancelled`. It is `repeated` if the result is that of an execution
    which another request started.
    """

    trace_id: str | None = None
    decision: str | None = None
    outcome: str | None = None
    repeated: bool = False


_observation: ContextVar[Observation | None] = ContextVar("hestiaos_local.observation", default=None)


@contextmanager
def observe() -> Iterator[Observation]:
    """Observe the execution in the `with` block."""
    token = _observation.set(observation := Observation())
    try:
        yield observation
    finally:
        _observation.reset(token)


def is_observed() -> bool:
    """Return whether this task has an observer."""
    return _observation.get() is not None


def note(
    *, trace_id: str | None = None, decision: str | None = None, outcome: str | None = None, repeated: bool = False
) -> None:
    """Report to the observer of this task, if there is one."""
    if (observation := _observation.get()) is not None:
        observation.trace_id = trace_id or observation.trace_id
        observation.decision = decision or observation.decision
        observation.outcome = outcome or observation.outcome
        observation.repeated = repeated or observation.repeated

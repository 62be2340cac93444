"""What is decided while a request is answered, for the log of requests.

The decision is made deep in a flow, whose result need not say it: a chat's does not. As with the context of a trace in
OpenTelemetry, it is written into what the context of the task holds, which threads that the task waits for share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import define

__all__ = ["Observation", "note", "observe"]


@define
class Observation:
    """What is known of an execution so far; all of it `None` where a request executes nothing.

    `outcome` is how it has ended: `completed`, `blocked`, `failed` or `cancelled`.
    """

    trace_id: str | None = None
    decision: str | None = None
    outcome: str | None = None


_observation: ContextVar[Observation | None] = ContextVar("hestiaos_local.observation", default=None)


@contextmanager
def observe() -> Iterator[Observation]:
    """Observe what is executed in the `with` block."""
    token = _observation.set(observation := Observation())
    try:
        yield observation
    finally:
        _observation.reset(token)


def note(*, trace_id: str | None = None, decision: str | None = None, outcome: str | None = None) -> None:
    """Report what is known now to the observer of this task."""
    if (observation := _observation.get()) is not None:
        observation.trace_id = trace_id or observation.trace_id
        observation.decision = decision or observation.decision
        observation.outcome = outcome or observation.outcome

"""The result of one input."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from attrs import frozen

from hestiaos.batches._schedule import Outcome, Schedule
from hestiaos_proto import HestiaError

__all__ = ["BatchResult", "next_result"]

T = TypeVar("T")
R = TypeVar("R")


@frozen
class BatchResult(Generic[T, R]):
    """The `result` of an input, or its `error`. `number` counts the inputs from 0."""

    number: int
    input: T
    result: R | None = None
    error: HestiaError | None = None

    @property
    def trace_id(self) -> str | None:
        """The id in the server's audit trail, `None` if the server did not return one."""
        trace_id = getattr(self.result if self.error is None else self.error, "trace_id", None)
        return trace_id if isinstance(trace_id, str) else None


def next_result(schedule: Schedule[T, R], end: type[Exception], *, raise_errors: bool) -> BatchResult[T, R] | None:
    """Return the next result, or `None` if it is not available yet.

    After the last result, raises `end`, or what ended the batch. Raises the error of an input if it is not a
    `HestiaError`, or with `raise_errors`.
    """
    outcome: Outcome[T, R] | None = schedule.take()
    if outcome is None:
        if schedule.over:
            raise schedule.fault or end
        return None
    error: Any = outcome.error
    if isinstance(error, StopIteration | StopAsyncIteration):  # as in a generator (PEP 479): it would end the iteration
        raise RuntimeError(f"a call raised {type(error).__name__}") from error
    if error is not None and (raise_errors or not isinstance(error, HestiaError)):
        raise error
    return BatchResult(outcome.work.number, outcome.work.input, outcome.result, error)

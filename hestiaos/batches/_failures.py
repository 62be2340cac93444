"""A call of a batch that failed."""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import frozen

from hestiaos_proto import HestiaError

__all__ = ["BatchFailure"]

T = TypeVar("T")


@frozen
class BatchFailure(Generic[T]):
    """A failed call, the argument of `on_failure` of `hestiaos.batch`. `number` counts the inputs from 0.

    It is repeated after `seconds`. If that is `None`, it is not repeated, and the error is the result of the input.
    `pauses_all` is true if the server refused it (429, 503), so that all calls wait that long.
    """

    number: int
    input: T
    error: HestiaError
    seconds: float | None = None
    pauses_all: bool = False

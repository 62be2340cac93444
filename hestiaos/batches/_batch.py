"""The function `batch`."""

from __future__ import annotations

import random
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, TypeVar, overload
from uuid import uuid4

from hestiaos.batches._failures import BatchFailure
from hestiaos.batches._schedule import Schedule
from hestiaos.batches._tasks import AsyncBatch
from hestiaos.batches._threads import Batch

__all__ = ["batch"]

T = TypeVar("T")
R = TypeVar("R")

_random = random.SystemRandom()


@overload
def batch(  # type: ignore[overload-overlap]  # an awaitable is a result too
    call: Callable[..., Awaitable[R]],
    inputs: Iterable[T] | AsyncIterable[T],
    *,
    concurrency: int = ...,
    ahead: int | None = ...,
    ordered: bool = ...,
    raise_errors: bool = ...,
    retries: int = ...,
    key: Callable[[int, T], str] | None = ...,
    on_failure: Callable[[BatchFailure[T]], object] | None = ...,
) -> AsyncBatch[T, R]: ...


@overload
def batch(
    call: Callable[..., R],
    inputs: Iterable[T],
    *,
    concurrency: int = ...,
    ahead: int | None = ...,
    ordered: bool = ...,
    raise_errors: bool = ...,
    retries: int = ...,
    key: Callable[[int, T], str] | None = ...,
    on_failure: Callable[[BatchFailure[T]], object] | None = ...,
) -> Batch[T, R]: ...


def batch(
    call: Callable[..., Any],
    inputs: Iterable[Any] | AsyncIterable[Any],
    *,
    concurrency: int = 8,
    ahead: int | None = None,
    ordered: bool = True,
    raise_errors: bool = False,
    retries: int = 3,
    key: Callable[[int, Any], str] | None = None,
    on_failure: Callable[[BatchFailure[Any]], object] | None = None,
) -> Batch[Any, Any] | AsyncBatch[Any, Any]:
    """Execute many inputs, and iterate over their results, each a `BatchResult`.

    `call` is a client's method, `client.run` or `client.run_async`, or a function of your own with the input and
    `**options`, which it passes on to one. With a coroutine function the batch is asynchronous, and is iterated inside
    `async with batch(…) as results:`.

    At most `concurrency` calls are in progress, and up to `ahead` further inputs (by default the same number) are read
    before their results are consumed. The results are returned in the order of the inputs or, if not `ordered`, in the
    order of completion.

    A failed call is repeated like a client's, up to `retries` times. If the server refuses one (429, 503), all calls
    wait as long as it requests. After more than `retries` such rounds in a row, with nothing accepted in between, the
    batch is given up: the refusal is the result of each input that was read, and is raised after them.

    A `HestiaError` is the `error` of its result or, with `raise_errors`, is raised in its place. Any other exception of
    a call is raised in its place, an exception of `inputs` after the results of the earlier ones. Raising ends the
    batch.

    `key(number, input)` returns the `Idempotency-Key` of an input, with which a server recognizes a repeat, also in
    another batch. By default each key is unique.

    `on_failure(failure)` is called for each call that fails with a `HestiaError`, when it fails rather than in order,
    in the thread or task that iterates, while it waits for a result. An exception that it raises ends the batch.

    Raises `TypeError` and `ValueError` for wrong arguments.
    """
    if not callable(call):
        raise TypeError(f"call must be a function, for example client.run, not {type(call).__name__}")
    for name, value, least in (("concurrency", concurrency, 1), ("retries", retries, 0), ("ahead", ahead, 0)):
        missing = value is None and name == "ahead"
        if not missing and (type(value) is not int or value < least):
            raise ValueError(f"{name} must be a whole number, {least} or more, not {value!r}")
    asynchronous = iscoroutinefunction(call) or iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
    kind: Any = AsyncBatch if asynchronous else Batch
    if not asynchronous and not isinstance(inputs, Iterable):
        raise TypeError(f"inputs must be an iterable if the call is synchronous, not {type(inputs).__name__}")
    if isinstance(inputs, str | bytes):
        raise TypeError(f"inputs must be an iterable of inputs, not one text: [{inputs[:20]!r}]")
    schedule: Schedule[Any, Any] = Schedule(
        concurrency, concurrency if ahead is None else ahead, ordered=ordered, retries=retries, random=_random
    )
    made: Batch[Any, Any] | AsyncBatch[Any, Any] = kind(
        call,
        inputs,
        schedule,
        key or partial(_key, uuid4().hex),
        raise_errors=raise_errors,
        on_failure=on_failure or _ignore,
    )
    return made


def _key(name: str, number: int, input: object) -> str:
    return f"{name}-{number}"


def _ignore(failure: BatchFailure[Any]) -> None:
    """It is the result of its input, or it is repeated."""

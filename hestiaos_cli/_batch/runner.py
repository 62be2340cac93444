"""Run the inputs of a batch by `hestiaos.batch`, and write their results.

After Ctrl-C, no more inputs are begun, pauses end, and calls in progress are waited for. A second one does not wait.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from hestiaos import batch
from hestiaos_cli._batch.inputs import Item
from hestiaos_cli._batch.results import Results
from hestiaos_proto import AuthenticationFailed, ConnectFailed, GovernanceBlock, HestiaError, StatusError

if TYPE_CHECKING:
    from hestiaos import Batch, BatchFailure, BatchResult, Client
    from hestiaos_proto import RunResponse

__all__ = ["Runner", "Work"]

_ENDS_ALL = (ConnectFailed, AuthenticationFailed)  # all other inputs would fail too


class Work(NamedTuple):
    """An input, and the idempotency key with which it is run."""

    item: Item
    key: str


class Runner:
    """Runs inputs through `client`.

    A failed call is repeated up to `retries` times. `on_result` is called with each result after it was written, and
    `on_repeat` with each call that will be repeated, in the thread of `run`; `on_interrupt` in the handler of Ctrl-C.
    """

    def __init__(
        self,
        client: Client,
        results: Results,
        *,
        concurrency: int,
        retries: int,
        fail_fast: bool,
        on_result: Callable[[dict[str, Any]], object],
        on_repeat: Callable[[BatchFailure[Work]], object],
        on_interrupt: Callable[[], object],
    ) -> None:
        self._client = client
        self._results = results
        self._concurrency = concurrency
        self._retries = retries
        self._fail_fast = fail_fast
        self._on_result = on_result
        self._on_repeat = on_repeat
        self._on_interrupt = on_interrupt
        self._fault: HestiaError | None = None  # what ended the batch
        self._complete = True
        self._interrupted = self._reading = False

    def run(self, works: Iterable[Work]) -> bool:
        """Run the inputs. Return whether all of them were run.

        Raises a fault that ends the batch (no connection, no valid key, only refusals), an error of the inputs, and
        `KeyboardInterrupt`, all after the results of calls in progress were written; also `OutputFailed` and
        `WriteFailed`.
        """
        running: Batch[Work, RunResponse] = batch(
            self._execute,
            self._read(works),
            concurrency=self._concurrency,
            retries=self._retries,
            key=lambda number, work: work.key,
            on_failure=lambda failure: self._note(running, failure),
        )
        with self._interruptible(running), running:
            for done in running:
                self._keep(running, done)
        if self._fault is not None:
            raise self._fault
        if self._interrupted:
            raise KeyboardInterrupt
        return self._complete

    def _execute(self, work: Work, **options: Any) -> RunResponse:
        try:
            return self._client.run(work.item.text, **work.item.options, **options)
        except (ValueError, TypeError) as error:  # it would end the batch otherwise
            raise HestiaError("INVALID_INPUT", str(error)) from error

    def _read(self, works: Iterable[Work]) -> Iterator[Work]:
        """Yield the inputs until Ctrl-C, which also ends the wait for the next line of a pipe."""
        items = iter(works)
        try:
            try:
                while True:
                    self._reading = True  # from here on Ctrl-C raises
                    work = None if self._interrupted else next(items, None)
                    self._reading = False
                    if work is None:
                        return
                    yield work
            finally:
                self._reading = False
        except KeyboardInterrupt:
            return

    def _note(self, running: Batch[Work, RunResponse], failure: BatchFailure[Work]) -> None:
        if failure.seconds is not None:
            self._on_repeat(failure)
        elif isinstance(failure.error, _ENDS_ALL) or (
            self._fail_fast and not isinstance(failure.error, GovernanceBlock)
        ):
            self._complete = False
            running.drain()

    def _keep(self, running: Batch[Work, RunResponse], done: BatchResult[Work, RunResponse]) -> None:
        if isinstance(done.error, _ENDS_ALL):
            self._fault = self._fault or done.error
        elif done.error is None or done.error is not running.given_up:
            record = _record(done)
            self._results.add(record)
            self._on_result(record)

    @contextmanager
    def _interruptible(self, running: Batch[Work, RunResponse]) -> Iterator[None]:
        """Let the first Ctrl-C drain the batch, and the second one end the process."""

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._interrupted:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.raise_signal(signal.SIGINT)
            self._interrupted = True
            running.drain()
            self._on_interrupt()
            if self._reading:
                raise KeyboardInterrupt

        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler:  # ignored, as in a background job of a script
            yield
            return
        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _record(done: BatchResult[Work, RunResponse]) -> dict[str, Any]:
    """Create the record of a result."""
    item, key = done.input
    record: dict[str, Any] = {"number": item.number}
    if item.id is not None:
        record["id"] = item.id
    record["input"] = item.text
    if done.result is not None:
        fields = done.result.to_wire()
        fields.pop("output", None)  # it repeats the result
        return record | fields
    assert done.error is not None, "an input has a result or an error"
    if isinstance(done.error, GovernanceBlock):
        record["mode"] = "BLOCK"
    else:
        record["idempotency_key"] = key
    return record | {"error": _error(done.error)}


def _error(error: HestiaError) -> dict[str, Any]:
    details = error.details if isinstance(error, StatusError) else None
    return {"code": error.code, "message": error.message, "trace_id": error.trace_id, "details": details}

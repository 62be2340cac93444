"""Runs the inputs of a batch, several at a time, and writes their results in order as far as there is room to wait.

Ctrl-C stops taking inputs up and ends pauses, and what the server is busy with is waited for; a second one does not
wait.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from hestiaos_cli._batch.calls import Calls, Stopped
from hestiaos_cli._batch.inputs import Item
from hestiaos_cli._batch.results import Results, WriteFailed, has_failed
from hestiaos_cli._standard_streams import OutputFailed
from hestiaos_proto import GovernanceBlock, HestiaError, StatusError

if TYPE_CHECKING:
    from hestiaos import Client

__all__ = ["Batch"]

_AHEAD = 2  # how many inputs per worker may be under way, or wait for one before them


class _Work(NamedTuple):
    place: int
    item: Item
    key: str


class _Outcome(NamedTuple):
    place: int
    record: dict[str, Any] | None  # `None` where it was not run
    error: Exception | None  # what ends the batch


class _Pause(NamedTuple):
    error: HestiaError
    seconds: float
    of_all: bool


class Batch:
    """Runs inputs through `client`.

    What has failed is repeated up to `retries` times. `on_result` is called with each result, once it is kept;
    `on_pause` with the error after which a call is repeated, the seconds until then, and whether all calls wait so
    long; `on_interrupt` once Ctrl-C was pressed. All are called in the thread of `run`.
    """

    def __init__(
        self,
        client: Client,
        results: Results,
        concurrency: int,
        retries: int,
        on_result: Callable[[dict[str, Any]], None],
        on_pause: Callable[[HestiaError, float, bool], None],
        on_interrupt: Callable[[], None],
    ) -> None:
        self._calls = Calls(client, retries, lambda *pause: self._outcomes.put(_Pause(*pause)))
        self._results = results
        self._concurrency = concurrency
        self._on_result = on_result
        self._on_pause = on_pause
        self._on_interrupt = on_interrupt
        self._works: SimpleQueue[_Work | None] = SimpleQueue()
        self._outcomes: SimpleQueue[_Outcome | _Pause | None] = SimpleQueue()
        self._interrupted = False

    def run(self, works: Iterable[tuple[Item, str]], *, fail_fast: bool) -> bool:
        """Run the inputs, each under its idempotency key. Returns whether all of them were.

        Raises what makes it useless to go on (no connection, no valid key, nothing but refusals, a full disk), and
        `KeyboardInterrupt`; in both cases after the results of what was under way are kept.
        """
        for _ in range(self._concurrency):
            Thread(target=self._work, daemon=True).start()
        try:
            with self._interruptible():
                all_run = self._run(iter(works), fail_fast=fail_fast)
        finally:
            for _ in range(self._concurrency):
                self._works.put(None)
        if self._interrupted:
            raise KeyboardInterrupt
        return all_run

    def _run(self, works: Iterator[tuple[Item, str]], *, fail_fast: bool) -> bool:
        begun = kept = under_way = 0  # `kept` counts the places up to which all results are kept
        waiting: dict[int, dict[str, Any]] = {}  # results by place, whose turn has not come
        fault: Exception | None = None
        stopped = exhausted = False
        while True:
            if stopped or self._interrupted:
                self._calls.stop()
            try:
                while not (stopped or exhausted or self._interrupted) and begun - kept < self._concurrency * _AHEAD:
                    work = next(works, None)
                    if work is None:
                        exhausted = True
                    else:
                        self._works.put(_Work(begun, *work))
                        begun, under_way = begun + 1, under_way + 1
                if not under_way:
                    break
                outcome = self._outcomes.get()
                if outcome is None:  # Ctrl-C
                    self._on_interrupt()
                    continue
                if isinstance(outcome, _Pause):
                    self._on_pause(*outcome)
                    continue
                under_way -= 1
                if outcome.error is not None:
                    raise outcome.error
                if outcome.record is None:
                    continue
                waiting[outcome.place] = outcome.record
                stopped = stopped or (fail_fast and has_failed(outcome.record))
                while fault is None and kept in waiting:
                    self._keep(waiting.pop(kept))
                    kept += 1
            except Exception as error:  # nothing more is begun; what is under way is waited for
                fault, stopped = fault or error, True
        for place in sorted(waiting):  # out of order, since one before them has no result
            if not isinstance(fault, OutputFailed | WriteFailed):
                self._keep(waiting[place])
        if fault is not None:
            raise fault
        return exhausted and not stopped

    def _keep(self, record: dict[str, Any]) -> None:
        self._results.add(record)
        self._on_result(record)

    def _work(self) -> None:
        while (work := self._works.get()) is not None:
            self._outcomes.put(self._outcome(work))

    def _outcome(self, work: _Work) -> _Outcome:
        item = work.item
        record: dict[str, Any] = {"number": item.number}
        if item.id is not None:
            record["id"] = item.id
        record["input"] = item.text
        try:
            result = self._calls.run(item, work.key)
        except Stopped:
            return _Outcome(work.place, None, None)
        except (HestiaError, ValueError, TypeError) as error:
            if self._calls.is_useless_after(error):
                return _Outcome(work.place, record, error)
            if isinstance(error, GovernanceBlock):
                record["mode"] = "BLOCK"
            else:
                record["idempotency_key"] = work.key
            return _Outcome(work.place, record | {"error": _error(error)}, None)
        except Exception as error:
            return _Outcome(work.place, record, error)
        fields = result.to_wire()
        fields.pop("output", None)  # it says the same again
        return _Outcome(work.place, record | fields, None)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Have the first Ctrl-C stop the batch, and the second one the process."""

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._interrupted:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.raise_signal(signal.SIGINT)
            self._interrupted = True
            self._outcomes.put(None)

        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler:  # it is ignored, as in the background of a script
            yield
            return
        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _error(error: Exception) -> dict[str, Any]:
    if not isinstance(error, HestiaError):
        return {"code": "INVALID_INPUT", "message": str(error), "trace_id": None, "details": None}
    details = error.details if isinstance(error, StatusError) else None
    return {"code": error.code, "message": error.message, "trace_id": error.trace_id, "details": details}

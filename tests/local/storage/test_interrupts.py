"""Ctrl-C at every line of a write: nothing of it or all of it is stored, and the next write is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from hestiaos_local.storage import Storage, verify_log
from tests.support.interrupts import Interrupt
from tests.support.storages import STORAGES, trace


@pytest.mark.parametrize("kind", STORAGES)
def test_ctrl_c_at_every_line_of_a_write(kind: str, tmp_path: Path) -> None:
    """A tracer can leave a transaction open, which a signal cannot: the next write ends it."""
    with ThreadPoolExecutor(1) as threads:  # as in tests/conformance/test_processes.py
        assert threads.submit(interrupted_writes_of, kind, tmp_path).result() > 20


@pytest.mark.parametrize("kind", STORAGES)
def test_ctrl_c_whose_traceback_is_kept(kind: str, tmp_path: Path) -> None:
    """It holds what was interrupted, as an interactive interpreter does with the last traceback."""
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(kept_tracebacks_of, kind, tmp_path).result() > 20


def kept_tracebacks_of(kind: str, folder: Path) -> int:
    with STORAGES[kind](folder) as opener:
        storage = opener()
        interrupted: KeyboardInterrupt | None = None
        for turn in count(1):
            interrupt = Interrupt(KeyboardInterrupt(), turn)
            try:
                with interrupt.during():
                    storage.add_trace(trace(f"interrupted {turn}"))
            except KeyboardInterrupt as error:
                interrupted = error
            if not interrupt.where:
                break
            storage.add_trace(trace(f"next {turn}"))
            assert interrupted is not None
            interrupted.__traceback__ = None  # now what was interrupted ends
            storage.add_trace(trace(f"last {turn}"))
            # Of a server's transaction that was interrupted as it was committed, the commit may come after the next.
            newest = {each.trace_id for each in storage.traces(limit=3)}
            assert newest >= {f"next {turn}", f"last {turn}"}
        assert verify_log(storage).faults == ()
        return turn


def interrupted_writes_of(kind: str, folder: Path) -> int:
    with STORAGES[kind](folder) as opener:
        return interrupted_writes(opener())


def interrupted_writes(storage: Storage) -> int:
    for turn in count(1):
        interrupt = Interrupt(KeyboardInterrupt(), turn)
        try:
            with interrupt.during():
                storage.add_trace(trace(f"interrupted {turn}"))
        except KeyboardInterrupt as error:
            error.__traceback__ = None  # it holds the write that was interrupted
        if not interrupt.where:
            break
        storage.add_trace(trace(f"next {turn}"))
    assert verify_log(storage).faults == ()
    assert all(storage.trace(f"next {each}") is not None for each in range(1, turn))
    return turn

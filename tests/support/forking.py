"""Forked processes, and what keeps the parent's threads busy meanwhile."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

import pytest

PATIENCE = 50.0  # seconds; a child that takes longer hangs

# Threads are forked on purpose here; from 3.12 on Python warns of it.
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


class Child:
    """A forked process that does `work` and ends."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._stacks = tempfile.TemporaryFile()  # noqa: SIM115  # it is closed by `wait`
        self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                faulthandler.register(signal.SIGUSR1, file=self._stacks)
                logging.disable()  # a thread of the parent may be inside the file of a handler, whose lock stays taken
                work()
                code = 0
            except BaseException:
                self._stacks.write(traceback.format_exc(limit=-8, chain=False).encode())
                self._stacks.flush()
            finally:
                os._exit(code)  # no other part of the tests may run in the child

    def wait(self) -> None:
        """Wait for its end. Raises `AssertionError` where it failed or hangs, with the place."""
        hangs = False
        end = time.monotonic() + PATIENCE
        while (over := os.waitpid(self._pid, os.WNOHANG)) == (0, 0):
            time.sleep(0.002)
            if hangs := time.monotonic() > end:
                os.kill(self._pid, signal.SIGUSR1)
                time.sleep(0.5)
                os.kill(self._pid, signal.SIGKILL)
                over = os.waitpid(self._pid, 0)
                break
        with self._stacks as file:
            file.seek(0)
            stacks = file.read().decode().partition("_pytest")[0]  # what called the test is the same for all
        assert not hangs, f"the child hangs:\n{stacks}"
        assert over[1] == 0, f"the child failed:\n{stacks}"


def run_in_child(work: Callable[[], object]) -> None:
    """Do `work` in a forked process. Raises `AssertionError` where it fails or hangs there."""
    Child(work).wait()


class Load:
    """Threads that do one piece of work after another until the block is left; their first exception is raised then.

    A piece of work is given the number of its thread.
    """

    def __init__(self, *works: Callable[[int], object], threads: int = 8) -> None:
        self._works = works
        self._over = threading.Event()
        self._faults: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(number,), name="load") for number in range(threads)]
        self._done = [0] * threads

    @property
    def done(self) -> int:
        """How many pieces of work have been done."""
        return sum(self._done)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread of the parent hangs"
        if self._faults and kind is None:
            raise self._faults[0]

    def wait_for_work(self) -> None:
        """Wait until each thread has done its work, and with it what is done only once, such as imports."""
        end = time.monotonic() + PATIENCE
        before = list(self._done)
        while any(now < then + 2 for now, then in zip(self._done, before, strict=True)) and not self._faults:
            assert time.monotonic() < end, "a thread of the parent does nothing"
            time.sleep(0.005)

    def _run(self, number: int) -> None:
        try:
            while not self._over.is_set():
                self._works[number % len(self._works)](number)
                self._done[number] += 1
        except BaseException as error:
            self._faults.append(error)

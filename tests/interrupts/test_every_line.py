"""Ctrl-C, or another exception of a signal handler, at every line of a call and of a stream of `Client`.

It is raised at once, the next call on the same client works within its timeout, and places, connections, descriptors
and threads are as before.
"""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hestiaos import Client
from tests.support.http_library import http
from tests.support.interrupts import Interrupt
from tests.support.leftovers import left_over, open_things
from tests.support.peer import Peer
from tests.support.works import WORKS, Work, answer, call, check_places

TIMEOUT = 5.0  # seconds; the next call waits for so long for a place that was lost
SOON = 3.0  # seconds; less than any wait for the server, and much longer than any work
HANGS = 4 * TIMEOUT  # seconds; a lock was lost where a call takes so long
STRIDE = 131  # every so many lines by default; all of them are `thorough`
MOST_FAILURES = 3  # that are reported; each may take as long as a timeout


class Alarm(Exception):
    """What a signal handler raises that is not Ctrl-C's."""


class Faults(list[str]):
    """What is wrong after an interrupt."""

    def expect(self, what: str, check: Callable[[], None]) -> None:
        """`check` passes. It has a thread of its own, and so hangs where the main thread has kept a lock, too."""
        thread = Thread(check)
        thread.start()
        thread.join(HANGS)
        if thread.is_alive():
            self.append(f"{what} hangs")
        elif thread.error is not None:
            self.append(f"{what}: {thread.error!r}")


class Thread(threading.Thread):
    """Runs `check` and keeps its exception."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._check = check

    def run(self) -> None:
        try:
            self._check()
        except BaseException as error:
            self.error = error


def interrupted(work: Work, interrupt: Interrupt, peer: Peer, places: int, *, warm: bool) -> Faults:
    """Do `work`, interrupted, and look at its client afterwards."""
    faults = Faults()
    client = Client(peer.url, timeout=TIMEOUT, retries=0, limits=http.Limits(max_connections=places), **work.options)
    if warm:
        check_places(client, places)
    try:
        with interrupt.during():
            work.act(client)
        if interrupt.where and not interrupt.unraisable:
            faults.append("it is not raised")
    except BaseException as error:
        if type(error) is not type(interrupt.error):  # a codec in C puts another of the same type around it
            faults.append(f"another exception is raised: {error!r}")
        if (took := time.monotonic() - interrupt.at) > SOON:
            faults.append(f"it is raised after {took:.1f} s")
        if not work.stream:  # a caller may keep the exception, with all the frames that it went through
            faults.expect("the next call", lambda: call(client))
    faults += map(repr, interrupt.unraisable_others)
    interrupt.error.__traceback__ = interrupt.error.__context__ = None
    gc.collect()
    if not faults:
        faults.expect("the places", lambda: check_places(client, places))
    if not faults and not becomes_true(lambda: peer.open <= 1):
        faults.append(f"{peer.open} connections are open, not 1")
    faults.expect("the close", client.close)
    return faults


def becomes_true(done: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON
    while not done() and time.monotonic() < end:
        time.sleep(0.001)
    return done()


def step_through(work: Work, error: type[BaseException], stride: int, places: int, *, warm: bool) -> None:
    failures: list[str] = []
    with Peer(answer=answer) as peer:
        # What is imported or cached is so from now on.
        assert interrupted(work, Interrupt(error(), sys.maxsize), peer, places, warm=warm) == []
        before = open_things()
        for turn in itertools.count(1, stride):
            interrupt = Interrupt(error(), turn)
            faults = interrupted(work, interrupt, peer, places, warm=warm)
            left = left_over(before, SOON)
            before |= left
            faults += sorted(left)
            failures += [f"line {turn}, {interrupt.where}: {fault}" for fault in faults]
            if not interrupt.where or len(failures) >= MOST_FAILURES:
                break
    assert not failures, "\n".join(failures)
    assert turn > 100, "the work has hardly any lines"


@pytest.fixture(autouse=True)
def _no_collection_in_between() -> Iterator[None]:
    """The lines of finalizers come where the last reference goes, and so at the same turn each time."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


some_and_every = pytest.mark.parametrize(
    "stride",
    [
        pytest.param(STRIDE, id="some lines"),
        pytest.param(1, id="every line", marks=[pytest.mark.thorough, pytest.mark.timeout(3600)]),
    ],
)
# What an interrupt leaves to the collector is closed by it, with a warning that nobody sees outside of tests.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@some_and_every
@pytest.mark.parametrize("warm", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_ctrl_c(work: Work, warm: bool, stride: int) -> None:
    step_through(work, KeyboardInterrupt, stride, 1, warm=warm)


@some_and_every
@pytest.mark.parametrize("work", WORKS[:3], ids=lambda work: work.name)
def test_another_exception(work: Work, stride: int) -> None:
    step_through(work, Alarm, stride, 1, warm=False)


@some_and_every
@pytest.mark.parametrize("work", [WORKS[0], WORKS[5]], ids=lambda work: work.name)
def test_ctrl_c_with_two_places(work: Work, stride: int) -> None:
    step_through(work, KeyboardInterrupt, stride, 2, warm=True)

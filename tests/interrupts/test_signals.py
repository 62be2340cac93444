"""Real SIGINTs at random moments of calls and streams, all on one client.

A signal arrives between any two steps of the interpreter, not only between lines, and inside blocking system calls.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from hestiaos import Client
from tests.support.http_library import http
from tests.support.interrupts import interruptible
from tests.support.leftovers import left_over, open_things
from tests.support.peer import Peer
from tests.support.works import WORKS, answer, call, check_places

PLACES = 4
TIMEOUT = 20.0  # seconds; the next call waits for so long for a place that was lost
LATEST = 0.008  # seconds after which a signal is sent; most pieces of work take less

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process there"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

# Sends SIGINT to process argv[1] so many seconds after each line that says how many.
SENDER = """
import os, signal, sys, time
for line in sys.stdin:
    end = time.perf_counter() + float(line)
    while time.perf_counter() < end:
        pass
    os.kill(int(sys.argv[1]), signal.SIGINT)
"""


class Signals:
    """Has SIGINT sent to this process, and turns it into `KeyboardInterrupt` where the code under test runs."""

    def __init__(self) -> None:
        self._sender = subprocess.Popen(
            [sys.executable, "-S", "-c", SENDER, str(os.getpid())], stdin=subprocess.PIPE, text=True
        )
        self.arrived = False
        """Whether the last one that was sent is here."""
        self.raised = False
        """Whether it was raised."""
        self.unraisable: list[BaseException] = []
        """What finalizers have raised beside it."""

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Until this is left, SIGINT is handled here, and the sender is there."""
        handler, hook = signal.signal(signal.SIGINT, self._handle), sys.unraisablehook
        sys.unraisablehook = self._note_unraisable
        try:
            yield
        finally:
            self._sender.communicate()
            signal.signal(signal.SIGINT, handler)
            sys.unraisablehook = hook

    def send_after(self, seconds: float) -> None:
        """Let one be sent."""
        assert self._sender.stdin is not None
        self.arrived = self.raised = False
        self._sender.stdin.write(f"{seconds}\n")
        self._sender.stdin.flush()

    def wait(self) -> None:
        """Wait until the last one has arrived."""
        while not self.arrived:
            time.sleep(0.0001)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.arrived = True
        if frame is not None and interruptible(frame.f_code):
            self.raised = True
            raise KeyboardInterrupt

    def _note_unraisable(self, unraisable: Any) -> None:
        if not isinstance(
            unraisable.exc_value, KeyboardInterrupt
        ):  # that one came in a finalizer, where nothing can be raised
            self.unraisable.append(unraisable.exc_value)


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        (50, 1),
        (50, 2),
        *(pytest.param(500, seed, marks=[pytest.mark.thorough, pytest.mark.timeout(600)]) for seed in range(3, 11)),
    ],
)
def test_sigint_at_random_moments(count: int, seed: int) -> None:
    """Each is raised where the code under test runs; the next call is served, and in the end there are all places."""
    chance = random.Random(seed)
    signals = Signals()
    raised = 0
    with Peer(answer=answer) as peer, signals.handled():
        before = open_things()
        deadline = 30.0 if seed % 2 else None
        limits = http.Limits(max_connections=PLACES)
        client = Client(peer.url, timeout=TIMEOUT, retries=0, deadline=deadline, limits=limits)
        check_places(client, PLACES)
        for _ in range(count):
            work = chance.choice(WORKS)
            signals.send_after(chance.uniform(0.0, LATEST))
            try:
                while not signals.arrived:
                    work.act(client)
            except KeyboardInterrupt:
                raised += 1
            signals.wait()
            call(client)
        gc.collect()
        check_places(client, PLACES)
        client.close()
        assert signals.unraisable == []
        assert left_over(before) == set()
    assert raised > count // 2, "most signals came where nothing ran"

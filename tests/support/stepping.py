"""An interrupt stepped through the lines of a piece of work, and what must hold after each."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from attrs import Factory, frozen

from hestiaos import Client
from hestiaos_httpx._tls import GUARD
from tests.support.environment import environment
from tests.support.http_library import http
from tests.support.interrupts import Interrupt
from tests.support.leftovers import left_over, open_things
from tests.support.peer import Peer
from tests.support.places import HOST, certificates
from tests.support.proxies import SOCKS, tunneling
from tests.support.works import Work, answer, call, check_places

TIMEOUT = 25.0  # seconds; the next call waits for so long for a place that was lost
SOON = 20.0  # seconds; less than any wait for the server, and much longer than any work
HANGS = 2 * TIMEOUT  # seconds; a lock was lost where a call takes so long
MOST_FAILURES = 3  # that are reported; each may take as long as a timeout


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


@frozen
class Server:
    """A peer, and the clients that come to it."""

    peer: Peer
    url: str
    environ: Mapping[str, str] = Factory(dict)

    def client(self, places: int, options: Mapping[str, Any]) -> Client:
        limits = http.Limits(max_connections=places)
        with environment(self.environ):
            return Client(self.url, timeout=TIMEOUT, retries=0, verify=certificates()[1], limits=limits, **options)


def interrupted(work: Work, interrupt: Interrupt, server: Server, places: int, *, warm: bool) -> Faults:
    """Do `work`, interrupted, and look at its client afterwards."""
    faults = Faults()
    client = server.client(places, work.options)
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
    if GUARD.inside:
        faults.append("a fork would wait for a thread that is not inside OpenSSL")
    if not faults and not becomes_true(lambda: server.peer.open <= 1):
        faults.append(f"{server.peer.open} connections are open, not 1")
    faults.expect("the close", client.close)
    return faults


def becomes_true(done: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON
    while not done() and time.monotonic() < end:
        time.sleep(0.001)
    return done()


Route = Callable[[], AbstractContextManager[Server]]


@contextmanager
def direct() -> Iterator[Server]:
    with Peer(answer=answer) as peer:
        yield Server(peer, peer.url)


@contextmanager
def by_name() -> Iterator[Server]:
    with Peer(answer=answer) as peer:
        yield Server(peer, peer.url.replace("127.0.0.1", "localhost"))


@contextmanager
def over_tls() -> Iterator[Server]:
    with Peer(answer=answer, tls=certificates()[0]) as peer:
        yield Server(peer, peer.url)


@contextmanager
def through_a_proxy() -> Iterator[Server]:
    with Peer(answer=answer) as peer:
        yield Server(peer, f"http://{HOST}", {"HTTP_PROXY": peer.url})


@contextmanager
def through_a_tunnel() -> Iterator[Server]:
    with Peer(answer=tunneling(certificates()[0], answer)) as peer:
        yield Server(peer, f"https://{HOST}", {"HTTPS_PROXY": peer.url})


@contextmanager
def through_socks() -> Iterator[Server]:
    with Peer(answer=answer, opening=SOCKS) as peer:
        yield Server(peer, f"http://{HOST}", {"ALL_PROXY": f"socks5://{peer.authority}"})


def step_through(
    work: Work, error: type[BaseException], stride: int, *, route: Route = direct, places: int = 1, warm: bool = False
) -> None:
    """Raise `error` at every `stride`th line of `work`, each time with a new client."""
    failures: list[str] = []
    with route() as server:
        # What is imported or cached is so from now on.
        assert interrupted(work, Interrupt(error(), sys.maxsize), server, places, warm=warm) == []
        before = open_things()
        for turn in itertools.count(1, stride):
            server.peer.requests.clear()  # or each collection would look at more of them
            interrupt = Interrupt(error(), turn)
            faults = interrupted(work, interrupt, server, places, warm=warm)
            left = left_over(before)
            before |= left
            faults += sorted(left)
            failures += [f"line {turn}, {interrupt.where}: {fault}" for fault in faults]
            if not interrupt.where or len(failures) >= MOST_FAILURES:
                break
    assert not failures, "\n".join(failures)
    assert turn > 100, "the work has hardly any lines"

"""Forks and interrupts, of the table "Found in use"; more of both are in `tests/forks` and `tests/interrupts`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import anyio
import pytest

from tests.support import forking
from tests.support.bindings import ASYNC, HttpxSync, InProcess, Selectors
from tests.support.forking import Child, Load
from tests.support.interrupts import Interrupt
from tests.support.peer import Peer, good_answer
from tests.support.scenario import fault
from tests.support.sessions import Session
from tests.support.steps import Request, Script, pause

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the collector closes what an interrupt left

some_and_all = pytest.mark.parametrize(
    "forks", [3, pytest.param(30, marks=[pytest.mark.thorough, pytest.mark.timeout(300)])]
)
STRIDE = 151  # lines between two interrupts


def slow_answer(request: Request) -> Script:
    return [pause(0.01), *good_answer(request)]


@fault(
    "`os.fork` while other threads of the parent are inside a call, 30 times; the child calls",
    (HttpxSync, Selectors, InProcess),
)
@some_and_all
@pytest.mark.usefixtures("forking")
def test_forks(binding: type[Session], forks: int) -> None:
    with Peer(answer=slow_answer) as peer, binding(peer.url) as session:
        if binding.shared:
            load = Load(lambda _: call(session), threads=4)
        else:  # it is for one thread at a time
            sessions = [binding(peer.url) for _ in range(4)]
            load = Load(lambda number: call(sessions[number]), threads=4)
        call(session)
        fork_under(load, lambda: call(session), forks)
        call(session)
        if not binding.shared:
            for each in sessions:
                each.close()


@fault("`os.fork` while other threads of the parent are inside a call, 30 times; the child calls", ASYNC)
@some_and_all
@pytest.mark.usefixtures("forking")
def test_forks_beside_event_loops(binding: type[Session], forks: int) -> None:
    with Peer(answer=slow_answer) as peer:
        for backend in binding.backends:
            client = binding.async_client(peer.url)
            one, many = (partial(anyio.run, each, client, backend=backend) for each in (call_async, many_calls))
            fork_under(Load(lambda _, many=many: many(), threads=2), one, forks)
            one()


@pytest.fixture(name="forking")
def forks_on_purpose(request: pytest.FixtureRequest) -> None:
    """The test forks, on purpose beside threads."""
    for mark in forking.pytestmark:
        request.applymarker(mark)


def call(session: Session) -> None:
    assert session.call("run", "x").result in ("r", "processed: x")
    assert session.stream("x").read()[0][-1].type == "done"


async def call_async(client: Any) -> None:
    assert (await client.run_async("x")).result in ("r", "processed: x")
    assert [event.type async for event in client.run_stream("x")][-1] == "done"


async def many_calls(client: Any) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(call_async, client)


def fork_under(load: Load, work: Callable[[], object], forks: int) -> None:
    with load:
        load.wait_for_work()
        for _ in range(forks):
            Child(work).wait()


INTERRUPTS = "Ctrl-C (or any exception of a signal handler) at **every** line of a sync call or stream"


@fault(INTERRUPTS, (HttpxSync, Selectors, InProcess))
def test_ctrl_c_at_every_line(binding: type[Session]) -> None:
    interrupt_everywhere(binding, KeyboardInterrupt)


@fault(INTERRUPTS, (HttpxSync, Selectors))  # the platform takes an exception in its own code for its own fault
def test_another_exception_at_every_line(binding: type[Session]) -> None:
    interrupt_everywhere(binding, ArithmeticError)


def interrupt_everywhere(binding: type[Session], error: type[BaseException]) -> None:
    """At some lines; `tests/interrupts` takes all of them, and more pieces of work.

    In a thread of its own: before the line of an `except`, what a tracer raises leaves the exception that was caught
    there in its thread for ever (CPython 3.11), and later tests would find it as the context of theirs.
    """
    with ThreadPoolExecutor(1) as threads:
        threads.submit(interrupt_in_thread, binding, error).result()


def interrupt_in_thread(binding: type[Session], error: type[BaseException]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        call(session)
        for work in (lambda: session.call("run", "x")), (lambda: session.stream("x").read()):
            for turn in itertools.count(1, STRIDE):
                if not interrupted(work, error(), turn).where:
                    break
                call(session)
            assert turn > 3 * STRIDE, "the work has hardly any lines"
        if binding.remote:
            peer.wait_until_ended(peer.connections - 1)  # all but the one that is kept


def interrupted(work: Callable[[], object], error: BaseException, turn: int) -> Interrupt:
    interrupt = Interrupt(error, turn)
    try:
        with interrupt.during():
            work()
    except type(error):
        error.__traceback__ = None
    else:
        assert interrupt.unraisable or not interrupt.where, f"it is not raised before {interrupt.where}"
    return interrupt

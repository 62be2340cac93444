"""Forks of a process whose threads ask a model server over https."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from threading import Event, Thread

import anyio
import pytest

from hestiaos_local.execution import RelayExecutor
from hestiaos_proto import ServerError
from tests.support import forking
from tests.support.broad import BROAD
from tests.support.forking import PATIENCE, Load, run_in_child
from tests.support.peer_process import PeerProcess

pytestmark = [BROAD, *forking.pytestmark]


async def ask(executor: RelayExecutor) -> None:
    """What the peer answers is not a list of models; that it answers at all takes a handshake."""
    error = await executor.check(within=PATIENCE)  # 64 handshakes at once, beside whatever else runs
    assert isinstance(error, ServerError)
    assert error.code == "MODEL_PROTOCOL_ERROR"


async def ask_many(executor: RelayExecutor) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(ask, executor)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("forks", [3, pytest.param(200, marks=[pytest.mark.thorough, pytest.mark.timeout(300)])])
def test_a_child_asks_too(backend: str, forks: int) -> None:
    """Each of the parent's event loops has a new thread, as OpenSSL takes most locks when a thread uses it first.

    The threads stay: at the end of one OpenSSL takes locks, too, and nobody can mend that.
    """
    over = Event()

    def parent(_: int) -> None:
        outcome: Future[None] = Future()
        Thread(target=work, args=(outcome,)).start()
        outcome.result()

    def work(outcome: Future[None]) -> None:
        try:
            outcome.set_result(anyio.run(ask_many, executor, backend=backend))
        except BaseException as error:
            outcome.set_exception(error)
        over.wait()

    with PeerProcess(tls=True) as peer:
        executor = RelayExecutor(f"{peer.url}/v1", model="m", ssl_context=peer.trusting)
        try:
            with Load(parent) as load:
                load.wait_for_work()
                for _ in range(forks):
                    run_in_child(partial(anyio.run, ask, executor, backend=backend))
        finally:
            over.set()

"""Two threads fork at once, and a third begins to speak TLS: it waits until both children are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import forking
from tests.support.broad import BROAD
from tests.support.forking import PATIENCE
from tests.support.peer_process import PeerProcess

pytestmark = [BROAD, *forking.pytestmark]

PROGRAM = """
import asyncio, logging, os, ssl, sys, threading

arrived, go = threading.Event(), threading.Event()

def hold():
    if threading.current_thread() is slow:
        arrived.set()
        go.wait()

os.register_at_fork(before=hold)  # called after those that are registered later, and before logging's, which locks
import hestiaos

kind, url = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if kind == "Client":
    client = hestiaos.Client(url, verify=context)
else:
    client = getattr(hestiaos, kind)(url, ssl_context=context)

def call():
    if kind == "Client":
        with client:
            client.run("x")
    elif kind == "AsyncioClient":
        asyncio.run(call_async())
    else:
        import trio
        trio.run(call_async)

async def call_async():
    async with client:
        await client.run_async("x")

def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

slow, caller = threading.Thread(target=fork), threading.Thread(target=call)
slow.start()
arrived.wait()
fork()
caller.start()
caller.join(0.5)
print("waits" if caller.is_alive() else "does not wait")
go.set()
slow.join()
caller.join()
"""


@pytest.mark.parametrize("kind", ["Client", "TrioClient", "AsyncioClient"])
def test_two_forks_at_once(kind: str) -> None:
    with PeerProcess(tls=True) as peer:
        program = [sys.executable, "-W", "ignore", "-c", PROGRAM, kind, peer.url]
        ended = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE)
        assert (ended.stdout, ended.stderr, ended.returncode) == ("waits\n", "", 0)
        assert len(peer.requests) == 1

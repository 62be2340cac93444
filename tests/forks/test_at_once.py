"""Two threads fork at once, and a third begins to speak TLS: it waits until both children are there."""

from __future__ import annotations

import subprocess
import sys

from tests.support import forking
from tests.support.forking import PATIENCE
from tests.support.peer_process import PeerProcess

pytestmark = forking.pytestmark

PROGRAM = """
import logging, os, sys, threading

arrived, go = threading.Event(), threading.Event()

def hold():
    if threading.current_thread() is slow:
        arrived.set()
        go.wait()

os.register_at_fork(before=hold)  # called after those that are registered later, and before logging's, which locks
from hestiaos import Client

def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

client = Client(sys.argv[1], verify=False)
slow, caller = threading.Thread(target=fork), threading.Thread(target=client.run, args=("x",))
slow.start()
arrived.wait()
fork()
caller.start()
caller.join(0.5)
print("waits" if caller.is_alive() else "does not wait")
go.set()
slow.join()
caller.join()
client.close()
"""


def test_two_forks_at_once() -> None:
    with PeerProcess(tls=True) as peer:
        program = [sys.executable, "-W", "ignore", "-c", PROGRAM, peer.url]
        ended = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE)
        assert (ended.stdout, ended.stderr, ended.returncode) == ("waits\n", "", 0)
        assert len(peer.requests) == 1

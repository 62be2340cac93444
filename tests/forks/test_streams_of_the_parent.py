"""What a child does to a stream or a client of its parent's does nothing to the parent's connection."""

from __future__ import annotations

import gc
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
import trustme

from hestiaos import Client, HestiaError, LocalProtocolError
from tests.support import forking
from tests.support.bindings import ASYNC, params
from tests.support.broad import broadly
from tests.support.forking import run_in_child
from tests.support.peer import Peer
from tests.support.sessions import Session
from tests.support.steps import Script, send
from tests.support.wire import DONE, FINAL, LAST_CHUNK, RUN, START, STREAM_HEAD, chunk, event, events, ok

TIMEOUT = 20.0  # seconds; the parent reads on sooner

pytestmark = forking.pytestmark


class Halves:
    """A stream in two halves: the second is sent once `go_on` is called."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.script: Script = [
            send(STREAM_HEAD + chunk(event(START))),
            lambda connection: connection.wait_for(self._event),
            send(chunk(events(FINAL, DONE)) + LAST_CHUNK),
        ]

    def go_on(self) -> None:
        self._event.set()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=broadly(["http", "https"]))
def peer(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[Peer]:
    context = None
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    with Peer(tls=context) as peer:
        yield peer


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def leave(client: Client, streams: list[Any]) -> None:
    with streams[0]:
        pass


def close(client: Client, streams: list[Any]) -> None:
    streams[0].close()


def cancel(client: Client, streams: list[Any]) -> None:
    streams[0].cancel()
    streams[0].close()


def drop(client: Client, streams: list[Any]) -> None:
    streams.clear()
    gc.collect()


def go_on(client: Client, streams: list[Any]) -> None:
    """The bytes that come are the parent's."""
    with pytest.raises(LocalProtocolError):
        next(streams[0])


def close_the_client(client: Client, streams: list[Any]) -> None:
    client.close()


def close_both(client: Client, streams: list[Any]) -> None:
    client.close()
    streams[0].close()


def call(client: Client, streams: list[Any]) -> None:
    assert client.run("child").result == "r"


ACTS = [leave, close, cancel, drop, go_on, close_the_client, close_both, call]


@pytest.mark.parametrize("act", ACTS)
def test_a_stream_of_the_parent(peer: Peer, trusting: ssl.SSLContext, act: Callable[[Client, list[Any]], None]) -> None:
    halves = Halves()
    peer.add(halves.script)
    with Client(peer.url, verify=trusting, timeout=TIMEOUT) as client:
        streams = [client.run_stream("x", cancel=threading.Event())]
        assert next(streams[0]).type == "start"
        run_in_child(lambda: act(client, streams))
        assert 1 not in peer.left
        halves.go_on()
        assert [each.type for each in streams[0]] == ["final", "done"]
        assert client.run("x").result == "r"
        assert peer.connections == (2 if act is call else 1)


@pytest.mark.parametrize("act", [close_the_client, call])
def test_a_kept_connection_of_the_parent(
    peer: Peer, trusting: ssl.SSLContext, act: Callable[[Client, list[Any]], None]
) -> None:
    with Client(peer.url, verify=trusting, timeout=TIMEOUT) as client:
        client.run("x")
        for _ in range(3):
            run_in_child(lambda: act(client, []))
            assert client.run("x").result == "r"
        assert [each.connection for each in peer.requests if b"child" not in each.body] == [1] * 4


PROGRAM = """
import os, sys
from hestiaos import Client
client = Client(sys.argv[1])
client.run("x")  # a kept connection
stream = client.run_stream("x")
other = client.run_stream("x")
assert next(stream).type == next(other).type == "start"
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    print("gone", flush=True)
    assert [[each.type for each in each_stream] for each_stream in (stream, other)] == [["final", "done"]] * 2
    client.run("x")
    client.close()
"""


def test_a_child_that_ends_as_a_program_does() -> None:
    """Its finalizers and exit handlers run."""
    halves = Halves()
    with Peer() as peer:
        peer.add([send(ok(RUN))], halves.script, halves.script)
        program = [sys.executable, "-W", "error", "-c", PROGRAM, peer.url]
        with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            left = list(peer.left)
            halves.go_on()
            _, errors = process.communicate(timeout=50)
        assert (said, left, errors, process.returncode) == ("gone\n", [], "", 0)
        assert peer.connections == 2


def drop_async(client: Any, streams: list[Any], backend: str) -> None:
    streams.clear()
    gc.collect()


def close_async(client: Any, streams: list[Any], backend: str) -> None:
    with suppress(HestiaError):
        anyio.run(streams[0].aclose, backend=backend)


def go_on_async(client: Any, streams: list[Any], backend: str) -> None:
    with pytest.raises(LocalProtocolError):
        anyio.run(streams[0].__anext__, backend=backend)


def close_the_async_client(client: Any, streams: list[Any], backend: str) -> None:
    anyio.run(client.aclose, backend=backend)


def call_async(client: Any, streams: list[Any], backend: str) -> None:
    assert anyio.run(client.run_async, "child", backend=backend).result == "r"


@pytest.mark.parametrize("act", [drop_async, close_async, go_on_async, close_the_async_client, call_async])
@pytest.mark.parametrize("binding", params(tuple(each for each in ASYNC if each.remote)))
def test_a_stream_of_an_event_loop(binding: type[Session], act: Callable[[Any, list[Any], str], None]) -> None:
    """The parent's loop runs in a thread; the child, which has the main thread alone, has a loop of its own."""
    halves = Halves()
    with Peer(halves.script) as peer, binding(peer.url, timeout=TIMEOUT) as session:
        reading = session.stream("x")
        assert reading.next().type == "start"
        streams = [reading.native]

        def child() -> None:
            nonlocal reading
            del reading  # or it would hold the stream
            act(session.client, streams, binding.backends[0])

        run_in_child(child)
        assert 1 not in peer.left
        halves.go_on()
        assert [each.type for each in reading.read()[0]] == ["final", "done"]
        assert session.call("run", "x").result == "r"

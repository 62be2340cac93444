"""How a task of asyncio receives from a socket: registered once, each byte once and in order."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import Any, TypeVar

import pytest

from hestiaos import AsyncClient
from hestiaos_httpx._socket_readers import SocketReader
from tests.support.peer import Peer
from tests.support.steps import Connection, Script, send
from tests.support.wire import DONE, FINAL, START, STREAM_HEAD, TOKEN, chunk, event

T = TypeVar("T")

FOREVER = 600.0  # seconds


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, other = socket.socketpair()
    with closing(ours), closing(other):
        ours.setblocking(False)
        yield ours, other


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop that can watch sockets, which Windows' default cannot."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(main)


def wait_for_data(sock: socket.socket) -> None:
    assert select.select([sock], [], [], 60.0)[0]


async def turns(sock: socket.socket) -> None:
    """Let the loop run until what `sock` receives was read."""
    wait_for_data(sock)
    while True:
        try:
            sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        await asyncio.sleep(0)


def test_what_arrives_is_received_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    async def main() -> list[bytes | None]:
        ours, other = pair
        reader = SocketReader(asyncio.get_running_loop(), ours)
        received = []
        for data in (b"one", b"two"):
            waiting = asyncio.create_task(reader.receive(3, FOREVER))
            await asyncio.sleep(0)
            other.send(data + b"more"[: len(received)])
            received.append(await waiting)
        received.append(reader.receive_now(3))
        other.close()
        received.append(await reader.receive(3, FOREVER))
        reader.stop()
        return received

    assert run(main()) == [b"one", b"two", b"m", b""]


def test_a_cancelled_read_loses_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is cancelled when the data has arrived, and its task has not had its turn yet."""

    async def main() -> bytes:
        ours, other = pair
        reader = SocketReader(asyncio.get_running_loop(), ours)
        waiting = asyncio.create_task(reader.receive(100, FOREVER))
        await asyncio.sleep(0)
        other.send(b"data")
        await turns(ours)
        assert waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        received = reader.receive_now(100)
        reader.stop()
        return received

    assert run(main()) == b"data"


@pytest.mark.parametrize("cancel", [False, True])
def test_a_connection_that_is_reset(cancel: bool) -> None:
    """It is raised once. What a cancelled task has not taken is the next one's, and is not logged as unread."""
    logged: list[Any] = []

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            other, _ = listener.accept()
        with ours:
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: logged.append(context))
            reader = SocketReader(loop, ours)
            waiting = asyncio.create_task(reader.receive(100, FOREVER))
            await asyncio.sleep(0)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            other.close()
            if cancel:
                wait_for_data(ours)
                await asyncio.sleep(0)
                await asyncio.sleep(0)  # now the loop has read, and the task has not had its turn
                assert waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                with pytest.raises(ConnectionResetError):
                    reader.receive_now(100)
            else:
                with pytest.raises(ConnectionResetError):
                    await waiting
            reader.stop()

    run(main())
    assert logged == []


def test_a_wait_ends_in_time_and_by_stop(pair: tuple[socket.socket, socket.socket]) -> None:
    async def main() -> list[bytes | None]:
        reader = SocketReader(asyncio.get_running_loop(), pair[0])
        received = [await reader.receive(100, seconds) for seconds in (0.0, 0.01)]
        waiting = asyncio.create_task(reader.receive(100, FOREVER))
        await asyncio.sleep(0)
        assert reader.waited_for
        reader.stop()
        return [*received, await waiting]

    assert run(main()) == [None] * 3


def test_a_longer_wait_after_a_shorter_one(pair: tuple[socket.socket, socket.socket]) -> None:
    """The timer of the first does not end the second."""

    async def main() -> bytes | None:
        ours, other = pair
        loop = asyncio.get_running_loop()
        reader = SocketReader(loop, ours)
        other.send(b"a")
        assert await reader.receive(100, 0.05) == b"a"
        waiting = asyncio.create_task(reader.receive(100, FOREVER))
        await asyncio.sleep(0.1)
        other.send(b"b")
        received = await waiting
        reader.stop()
        return received

    assert run(main()) == b"b"


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often sockets are registered for reading; `remove_reader` is asked as often."""

    registered = 0

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.registered += 1
        super().add_reader(fd, callback, *args)


def lockstep(count: int, taken: threading.Semaphore) -> Script:
    """A stream whose tokens each wait until the one before was read."""

    def tokens(connection: Connection) -> None:
        for _ in range(count):
            assert taken.acquire(timeout=50)
            connection.send(chunk(event(TOKEN)))

    return [send(STREAM_HEAD + chunk(event(START))), tokens, send(chunk(event(FINAL) + event(DONE)) + b"0\r\n\r\n")]


async def read(url: str, taken: threading.Semaphore) -> int:
    count = 0
    async with AsyncClient(url) as client, client.run_stream("x") as stream:
        async for _ in stream:
            taken.release()
            count += 1
    return count


def test_a_stream_is_registered_once() -> None:
    """However many reads it takes."""
    taken = threading.Semaphore(0)
    loop = CountingLoop()
    with Peer(lockstep(100, taken)) as peer, asyncio.Runner(loop_factory=lambda: loop) as runner:
        before = loop.registered
        assert runner.run(read(peer.url, taken)) == 103
        assert loop.registered - before < 10  # once, and once more after each turn in which the task did not wait


@pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed")
def test_a_stream_on_uvloop() -> None:
    import uvloop

    taken = threading.Semaphore(0)
    with Peer(lockstep(100, taken)) as peer, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(read(peer.url, taken)) == 103


class ProactorLike(asyncio.SelectorEventLoop):
    """A loop that cannot watch sockets, as Windows' default."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        raise NotImplementedError


def test_a_loop_that_cannot_watch_sockets() -> None:
    """anyio waits for them in a thread."""
    taken = threading.Semaphore(0)
    with Peer(lockstep(3, taken)) as peer, asyncio.Runner(loop_factory=ProactorLike) as runner:
        assert runner.run(read(peer.url, taken)) == 6

"""A stream or a client that is used in the way of the other kind says what to write instead."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import trio

from hestiaos import AsyncClient, AsyncioClient, Client, ConnectFailed, TrioClient

ASYNCHRONOUS: dict[str, Callable[[], Any]] = {"httpx": AsyncClient, "asyncio": AsyncioClient, "trio": TrioClient}
LOOPS: dict[str, Callable[[], Any]] = {"asyncio": AsyncioClient, "trio": TrioClient}
asynchronous = pytest.mark.parametrize("new", ASYNCHRONOUS.values(), ids=ASYNCHRONOUS)
loops = pytest.mark.parametrize("new", LOOPS.values(), ids=LOOPS)


def message_of(use: Callable[[], Any], kind: type[Exception] = TypeError) -> str:
    with pytest.raises(kind) as caught:
        use()
    return str(caught.value)


def test_a_synchronous_stream_used_as_an_asynchronous_one() -> None:
    stream: Any = Client().run_stream("x")

    async def awaited() -> None:
        await stream

    async def iterated() -> None:
        async for _ in stream:
            pass

    async def entered() -> None:
        async with stream:
            pass

    async def asked() -> None:
        await anext(stream)

    assert "`for event in client.run_stream(…)`, without `await`" in message_of(lambda: asyncio.run(awaited()))
    assert "EventStream is synchronous: write `for`" in message_of(lambda: asyncio.run(iterated()))
    assert "write `for`" in message_of(lambda: asyncio.run(asked()))
    assert "EventStream is synchronous: write `with`" in message_of(lambda: asyncio.run(entered()))
    assert message_of(lambda: stream.aclose, AttributeError).endswith("has no attribute 'aclose': use `close()`")
    assert message_of(lambda: stream.nothing, AttributeError) == "'EventStream' object has no attribute 'nothing'"


@asynchronous
def test_an_asynchronous_stream_used_as_a_synchronous_one(new: Callable[[], Any]) -> None:
    stream = new().run_stream("x")

    async def awaited() -> None:
        await stream

    assert "`async for event in client.run_stream(…)`, without `await`" in message_of(lambda: asyncio.run(awaited()))
    for use in list, next, iter:
        assert "EventStream is asynchronous: write `async for`" in message_of(lambda use=use: use(stream))
    with pytest.raises(TypeError, match="EventStream is asynchronous: write `async with`"), stream:
        pass
    for name in "close", "cancel":
        assert message_of(lambda name=name: getattr(stream, name), AttributeError).endswith(
            "use `await stream.aclose()`"
        )
    assert message_of(lambda: stream.nothing, AttributeError).endswith("object has no attribute 'nothing'")


@loops
def test_an_asynchronous_client_used_as_a_synchronous_one(new: Callable[[], Any]) -> None:
    client = new()
    with pytest.raises(TypeError, match=f"{type(client).__name__} is asynchronous: write `async with`"), client:
        pass
    assert "use `await client.aclose()`" in message_of(client.close)
    for name in "run", "health", "trace":
        assert f"`await …{name}_async(…)`, or Client" in message_of(
            lambda name=name: getattr(client, name), AttributeError
        )
    assert "use `await …status_async(…)`" in message_of(lambda: client.system.status, AttributeError)
    assert message_of(lambda: client.nothing, AttributeError).endswith("object has no attribute 'nothing'")


def test_an_error_without_trio_says_how_to_install_it() -> None:
    program = "import sys; sys.modules['trio'] = None; {}"  # Python's own way to say that it cannot be imported
    for use in "from hestiaos import TrioClient", "import hestiaos; hestiaos.TrioEventStream", "import hestiaos_trio":
        ended = subprocess.run([sys.executable, "-c", program.format(use)], capture_output=True, text=True, check=False)
        assert ended.stderr.endswith("ModuleNotFoundError: TrioClient needs trio: pip install 'hestiaos[trio]'\n")
    shown = "import hestiaos, pydoc; print(dir(hestiaos), pydoc.render_doc(hestiaos))"
    ended = subprocess.run([sys.executable, "-c", program.format(shown)], capture_output=True, text=True, check=True)
    assert "'Client'" in ended.stdout
    assert "TrioClient'" not in ended.stdout


@pytest.mark.parametrize(
    "call",
    [
        lambda url: Client(url, retries=0).health(),
        lambda url: list(Client(url, retries=0).run_stream("x")),
        lambda url: asyncio.run(AsyncClient(url, retries=0).health_async()),
        lambda url: asyncio.run(AsyncioClient(url, retries=0).health_async()),
        lambda url: trio.run(TrioClient(url, retries=0).health_async),
    ],
    ids=["httpx", "stream", "httpx on asyncio", "asyncio", "trio"],
)
def test_the_traceback_of_a_refused_connection_is_short(call: Callable[[str], object]) -> None:
    """It has what the caller did, each exception with the line that raised it, and nothing of what lies between."""
    with pytest.raises(ConnectFailed) as caught:
        call("http://127.0.0.1:1")
    cause: BaseException | None = caught.value.__cause__
    assert isinstance(cause, Exception)
    while cause is not None:
        assert len(traceback.extract_tb(cause.__traceback__)) <= 1
        cause = cause.__cause__ or cause.__context__
    ours = [frame for frame in traceback.extract_tb(caught.tb) if re.search(r"hestiaos_\w+[/\\]_", frame.filename)]
    assert len(ours) <= 4

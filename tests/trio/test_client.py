"""`TrioClient` on real sockets: every method, its pool, TLS, Unix sockets, and what it says to misuse."""

from __future__ import annotations

import asyncio
import gc
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from trio_peer import HEALTH, RUN, Peer, request, response, with_peer

from hestiaos import (
    ConnectFailed,
    ConnectionLost,
    GovernanceBlock,
    LocalProtocolError,
    StatusError,
    TimedOut,
    TrioClient,
)

DESCRIPTION = (Path(__file__).parent.parent / "sdk-description.txt").read_text(encoding="utf-8")


def test_every_method(server_url: str) -> None:
    async def main() -> None:
        async with TrioClient(server_url) as client:
            run = await client.run_async("create a report")
            assert (run.result, run.mode) == ("processed: create a report", "ALLOW")
            assert (await client.trace_async(run.trace_id)).decision == "ALLOW"
            assert (await client.health_async()).status == "ok"
            assert (await client.chat.run_async("hi", "s")).session_id == "s"
            assert (await client.agents.run_async("a", "t")).status == "COMPLETED"
            assert (await client.system.status_async()).status == "OK"
            assert "version" in await client.system.config_async()
            assert (await client.system.metrics_async()).requests_total
            await client.secrets.set_async("a/b?c#d", "value")
            assert await client.secrets.get_async("a/b?c#d") == "value"
            await client.secrets.delete_async("a/b?c#d")
            assert (await client.governance.explain_async("WRITE"))["decision"] == "ALLOW"
            assert "stability_score" in await client.governance.status_async()
            assert await client.governance.trace_async("unknown") is None
            with pytest.raises(GovernanceBlock):
                await client.run_async("rm -rf /")
            async with client.run_stream("a b") as stream:
                assert [event.type async for event in stream][-2:] == ["final", "done"]
            assert stream.text == "processed: a b"
            assert repr(client) == f"TrioClient(base_url={server_url!r})"

    trio.run(main)


def test_the_quickstart_runs_with_only_the_import_changed(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"### Async \(recommended.*?```python\n(.*?)```", DESCRIPTION, re.DOTALL)
    assert found is not None
    source = found[1].replace("import AsyncClient", "import TrioClient as AsyncClient")
    source = source.replace("http://localhost:8000", server_url)
    names: dict[str, Any] = {}
    exec("async def main():\n" + "".join(f"    {line}\n" for line in source.splitlines()), names)
    trio.run(names["main"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "processed: create a report"
    assert printed[2] == "ALLOW"
    assert printed[-1] == "[done] {}"


def test_importing_it_loads_no_http_library() -> None:
    program = "import hestiaos_trio, sys; print({'httpx', 'httpcore', 'anyio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


async def keep_alive(stream: trio.SocketStream, number: int) -> None:
    while await request(stream):
        await stream.send_all(response(HEALTH))


def test_a_connection_is_used_again() -> None:
    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url) as client:
            for _ in range(5):
                await client.health_async()

    assert with_peer(keep_alive, main).connections == 1


def test_the_pool_has_a_limit() -> None:
    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url, max_connections=2) as client, trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(client.health_async)

    assert with_peer(keep_alive, main).connections == 2
    with pytest.raises(ValueError, match="max_connections"):
        TrioClient(max_connections=0)


def test_waiting_for_a_connection_has_an_end() -> None:
    async def silent(stream: trio.SocketStream, number: int) -> None:
        await trio.sleep_forever()

    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url, timeout=0.2, retries=0, max_connections=1) as client:
            outcomes: list[TimedOut] = []

            async def one() -> None:
                try:
                    await client.run_async("x", timeout_ms=10_000 if not outcomes else None)
                except TimedOut as error:
                    outcomes.append(error)
                    nursery.cancel_scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(one)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(one)
            (waited,) = outcomes
            assert not waited.request_sent
            assert "in use" in waited.message

    with_peer(silent, main)


def test_an_idle_connection_is_kept_for_a_while_only() -> None:
    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url) as client:
            await client.health_async()
            await trio.sleep(4)
            await client.health_async()
            await trio.sleep(6)
            await client.health_async()

    # The sockets are real and the clock jumps only when nothing else can run; a read is never that far from its data.
    clock = trio.testing.MockClock(rate=0, autojump_threshold=0.2)
    assert with_peer(keep_alive, main, clock=clock).connections == 2


def test_a_connection_that_the_server_closed_is_not_used() -> None:
    ended: list[trio.Event] = []

    async def once(stream: trio.SocketStream, number: int) -> None:
        ended.append(trio.Event())
        await request(stream)
        await stream.send_all(response(RUN))
        await stream.aclose()
        ended[-1].set()

    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url, retries=0) as client:
            for _ in range(3):
                assert (await client.run_async("x")).result == "r"
                await ended[-1].wait()

    assert with_peer(once, main).connections == 3


def test_a_connection_found_stale_is_replaced_where_a_repeat_does_no_harm() -> None:
    async def closes_on_the_second(stream: trio.SocketStream, number: int) -> None:
        await request(stream)
        await stream.send_all(response(HEALTH))
        await request(stream)  # and closes without a word

    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url, retries=0) as client:
            await client.health_async()
            await client.health_async()
            with pytest.raises(ConnectionLost):
                await client.run_async("x")

    assert with_peer(closes_on_the_second, main).connections == 2


def test_a_call_that_was_cancelled_leaves_no_connection_behind() -> None:
    async def slow(stream: trio.SocketStream, number: int) -> None:
        await request(stream)
        if number == 0:
            await trio.sleep_forever()
        await stream.send_all(response(HEALTH))
        await request(stream)

    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url, max_connections=1) as client:
            with trio.move_on_after(0.1):
                await client.health_async()
            assert (await client.health_async()).status == "ok"

    assert with_peer(slow, main).connections == 2


def test_tls_by_ones_own_context() -> None:
    authority = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_context)
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            while await stream.receive_some():
                await stream.send_all(response(HEALTH))
        except trio.BrokenResourceError:
            pass  # a client that does not trust us

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_ssl_over_tcp_listeners(0, server_context, host="127.0.0.1")
            port = listeners[0].transport_listener.socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, serve, listeners)
            async with TrioClient(f"https://localhost:{port}", ssl_context=context) as client:
                for _ in range(2):
                    assert (await client.health_async()).status == "ok"
            async with TrioClient(f"https://localhost:{port}", retries=0) as client:
                with pytest.raises(ConnectFailed, match=r"(?i)certificate verify failed"):
                    await client.health_async()
            async with TrioClient(f"https://127.0.0.1:{port}", retries=0, ssl_context=context) as client:
                with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1"):
                    await client.health_async()
            nursery.cancel_scope.cancel()

    trio.run(main)


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_is_no_name(host: str) -> None:
    async def main() -> None:
        async with TrioClient(f"http://{host}", retries=0) as client:
            with pytest.raises(ConnectFailed, match=rf"cannot connect to http://{host}: .*label"):
                await client.health_async()

    trio.run(main)


@pytest.mark.skipif(not hasattr(trio.socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        listener_socket = trio.socket.socket(trio.socket.AF_UNIX)
        await listener_socket.bind(path)
        listener_socket.listen()

        async def handle(stream: trio.SocketStream) -> None:
            await keep_alive(stream, 0)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, handle, [trio.SocketListener(listener_socket)])
            async with TrioClient("http://hestia", uds=path) as client:
                assert (await client.health_async()).status == "ok"
            async with TrioClient("http://hestia", uds=f"{path}-missing", retries=0) as client:
                with pytest.raises(ConnectFailed):
                    await client.health_async()
            async with TrioClient("https://.a", uds=path, retries=0) as client:  # TLS wants a name
                with pytest.raises(ConnectFailed, match="leading dot"):
                    await client.health_async()
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_it_says_that_it_is_for_trio(server_url: str) -> None:
    async def stream() -> None:
        await anext(TrioClient(server_url).run_stream("x"))

    for main in (TrioClient(server_url).health_async, stream):
        with pytest.raises(LocalProtocolError, match="for asyncio there is AsyncioClient"):
            asyncio.run(main())


def test_a_closed_client_says_so(server_url: str) -> None:
    async def main() -> None:
        client = TrioClient(server_url)
        await client.health_async()
        await client.aclose()
        await client.aclose()
        with pytest.raises(LocalProtocolError, match="closed"):
            await client.health_async()
        with pytest.raises(LocalProtocolError, match="closed"):
            await anext(client.run_stream("x"))

    trio.run(main)


def test_one_client_serves_several_runs(server_url: str) -> None:
    client = TrioClient(server_url)

    async def main() -> str:
        return (await client.run_async("a")).result

    assert [trio.run(main) for _ in range(3)] == ["processed: a"] * 3
    trio.run(client.aclose)
    gc.collect()


@pytest.mark.parametrize("how", ["aclose", "dropped", "with", "cancelled"])
def test_a_stream_that_is_left_early_gives_its_place_back(serve_platform: Callable[..., str], how: str) -> None:
    url = serve_platform(token_delay=3600.0, heartbeat=3600.0)

    async def main() -> None:
        async with TrioClient(url, max_connections=1) as client:
            for _ in range(3):
                stream = client.run_stream("a")
                assert (await anext(stream)).type == "start"
                if how == "with":
                    async with stream:
                        pass
                elif how == "aclose":
                    await stream.aclose()
                elif how == "cancelled":
                    with trio.move_on_after(0.05):
                        await anext(stream)
                    with pytest.raises(LocalProtocolError, match="closed"):
                        await anext(stream)
                del stream
            gc.collect()
            with trio.fail_after(5):
                assert (await client.run_async("a")).result == "processed: a"

    trio.run(main)


def test_two_tasks_cannot_read_one_stream(serve_platform: Callable[..., str]) -> None:
    url = serve_platform(token_delay=3600.0, heartbeat=3600.0)

    async def main() -> None:
        async with TrioClient(url) as client, client.run_stream("a") as stream:
            await anext(stream)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.__anext__)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(LocalProtocolError, match="read already"):
                    await anext(stream)
                nursery.cancel_scope.cancel()

    trio.run(main)


@pytest.mark.parametrize("heartbeat", [0.05, 3600.0])
def test_the_timeout_ends_the_whole_stream(serve_platform: Callable[..., str], heartbeat: float) -> None:
    url = serve_platform(token_delay=3600.0, heartbeat=heartbeat)

    async def main() -> None:
        async with TrioClient(url) as client:
            stream = client.run_stream("a", timeout=0.3)
            assert (await anext(stream)).type == "start"
            with pytest.raises(TimedOut, match=r"0\.3 s"):
                await anext(stream)

    trio.run(main)


def test_an_upload_that_is_refused_early_is_heard() -> None:
    async def refuse(stream: trio.SocketStream, number: int) -> None:
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await stream.send_eof()
        while await stream.receive_some():  # so that what was said is not lost in a reset
            pass

    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url, retries=0) as client:
            with pytest.raises(StatusError) as refused:
                await client.run_async("x" * 8_000_000)
            assert refused.value.status_code == 413

    with_peer(refuse, main)


def test_a_loop_may_end_in_the_middle_of_a_stream(serve_platform: Callable[..., str]) -> None:
    client = TrioClient(serve_platform(token_delay=3600.0, heartbeat=3600.0))

    async def main() -> object:
        stream = client.run_stream("a")
        await anext(stream)
        return stream

    left = trio.run(main)
    assert left is not None
    del left
    gc.collect()


def test_closing_the_client_ends_what_is_under_way(serve_platform: Callable[..., str]) -> None:
    url = serve_platform(token_delay=3600.0, heartbeat=3600.0)

    async def main() -> None:
        client = TrioClient(url)
        stream = client.run_stream("a")
        await anext(stream)
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(LocalProtocolError, match="closed"):
                    await anext(stream)

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await client.aclose()

    trio.run(main)

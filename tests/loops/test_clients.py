"""What `AsyncioClient` and `TrioClient` promise alike, on real sockets: every method, the pool, and misuse."""

from __future__ import annotations

import gc
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketStream

from hestiaos import (
    ConnectFailed,
    ConnectionLost,
    GovernanceBlock,
    LocalProtocolError,
    StatusError,
    TimedOut,
)
from tests.support.expecting import within
from tests.support.loops import (
    HEALTH,
    RUN,
    STREAM,
    Binding,
    Peer,
    keep_alive,
    request,
    response,
    silent,
    until,
    with_peer,
)

DESCRIPTION = (Path(__file__).parent.parent / "sdk-description.txt").read_text(encoding="utf-8")


def test_every_method(binding: Binding, server_url: str) -> None:
    async def main() -> None:
        async with binding.client(server_url) as client:
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
            assert repr(client) == f"{binding.client.__name__}(base_url={server_url!r})"

    binding.run(main)


def test_the_quickstart_runs_with_only_the_import_changed(
    binding: Binding, server_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(r"### Async \(recommended.*?```python\n(.*?)```", DESCRIPTION, re.DOTALL)
    assert found is not None
    source = found[1].replace("import AsyncClient", f"import {binding.client.__name__} as AsyncClient")
    source = source.replace("http://localhost:8000", server_url)
    names: dict[str, Any] = {}
    exec("async def main():\n" + "".join(f"    {line}\n" for line in source.splitlines()), names)
    binding.run(names["main"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "processed: create a report"
    assert printed[2] == "ALLOW"
    assert printed[-1] == "[done] {}"


def test_importing_the_package_loads_no_http_library(binding: Binding) -> None:
    foreign = {"httpx", "httpcore", "anyio", binding.foreign} - ({"asyncio"} if sys.platform == "win32" else set())
    program = f"import hestiaos_{binding.name}, sys; print({foreign} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_connection_is_used_again(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        async with binding.client(peer.url) as client:
            for _ in range(5):
                await client.health_async()

    assert with_peer(binding, keep_alive, main).connections == 1


def test_the_pool_has_a_limit(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, max_connections=2) as client, anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(client.health_async)

    assert with_peer(binding, keep_alive, main).connections == 2


def test_twenty_connections_are_kept(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        all_there = anyio.Event()

        async def answer_together(stream: SocketStream, number: int) -> None:
            while await request(stream):
                if peer.connections == 25:
                    all_there.set()
                await all_there.wait()
                await stream.send(response(HEALTH))

        peer.handle = answer_together
        async with binding.client(peer.url) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(25):
                    tasks.start_soon(client.health_async)
            await until(lambda: peer.ended == 5)
            await client.health_async()
            assert (peer.connections, peer.ended) == (25, 5)

    with_peer(binding, keep_alive, main)


def test_waiting_for_a_connection_is_bounded(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        client = binding.client(peer.url, timeout=0.2, retries=0, max_connections=1)
        async with client, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(client.run_async, "x", timeout=3600.0))
            await until(lambda: peer.connections == 1)
            with pytest.raises(TimedOut, match="in use") as waited:
                await client.run_async("x")
            assert not waited.value.request_sent
            with pytest.raises(TimedOut, match=r"0\.1 s"):
                await client.run_async("x", timeout=5.0, deadline=0.1)
            tasks.cancel_scope.cancel()

    with_peer(binding, silent, main)


def test_an_idle_connection_expires(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        async with binding.client(peer.url) as client:
            await client.health_async()
            binding.jump(2)
            await client.health_async()
            assert peer.connections == 1
            binding.jump(6)
            await client.health_async()
            assert peer.connections == 2
            await until(lambda: peer.ended == 1)

    with_peer(binding, keep_alive, main)


def test_a_connection_that_the_server_closed_is_not_used(binding: Binding) -> None:
    ended: list[anyio.Event] = []

    async def once(stream: SocketStream, number: int) -> None:
        ended.append(anyio.Event())
        await request(stream)
        await stream.send(response(RUN))
        await stream.aclose()
        ended[-1].set()

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, retries=0) as client:
            for _ in range(3):
                assert (await client.run_async("x")).result == "r"
                await ended[-1].wait()

    assert with_peer(binding, once, main).connections == 3


def test_a_connection_on_which_the_server_has_spoken_unasked_is_not_used(binding: Binding) -> None:
    async def speak_again(stream: SocketStream, number: int) -> None:
        while await request(stream):
            await stream.send(response(RUN))
            await stream.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, retries=0) as client:
            for _ in range(3):
                assert (await client.run_async("x")).result == "r"
                await anyio.wait_all_tasks_blocked()

    assert with_peer(binding, speak_again, main).connections == 3


def test_a_connection_found_stale_is_replaced_where_a_repeat_does_no_harm(binding: Binding) -> None:
    async def closes_on_the_second(stream: SocketStream, number: int) -> None:
        await request(stream)
        await stream.send(response(HEALTH))
        await request(stream)  # and closes without a word

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, retries=0) as client:
            await client.health_async()
            await client.health_async()
            with pytest.raises(ConnectionLost):
                await client.run_async("x")

    assert with_peer(binding, closes_on_the_second, main).connections == 2


def test_a_call_that_was_cancelled_leaves_no_connection(binding: Binding) -> None:
    async def slow(stream: SocketStream, number: int) -> None:
        await request(stream)
        if number == 0:
            assert await request(stream) == b""
            return
        await stream.send(response(HEALTH))
        await request(stream)

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, max_connections=1) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.health_async)
                await until(lambda: peer.connections == 1)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            assert (await client.health_async()).status == "ok"

    assert with_peer(binding, slow, main).connections == 2


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let names be those of these addresses."""
    look_up = socket.getaddrinfo

    def look_up_all(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> list[Any]:
        hosts = [host] if flags & socket.AI_NUMERICHOST else addresses
        return [each for host in hosts for each in look_up(host, port, family, type, proto, flags)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up_all)


@pytest.mark.parametrize("first", ["127.0.0.2", "127.0.0.3"])
def test_the_first_address_of_a_host_that_answers_is_used(
    binding: Binding, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """127.0.0.2 refuses, and at 127.0.0.3 a full backlog says nothing."""

    async def main(peer: Peer) -> None:
        port = int(peer.url.rpartition(":")[2])
        with ExitStack() as stack:
            full = stack.enter_context(socket.socket())
            full.bind(("127.0.0.3", port))
            full.listen(0)
            for _ in range(2):
                blocked = stack.enter_context(socket.socket())
                blocked.setblocking(False)
                blocked.connect_ex(("127.0.0.3", port))
            resolve_to(monkeypatch, first, "127.0.0.1")
            async with binding.client(f"http://hestia.test:{port}", retries=0, timeout=50.0) as client:
                with anyio.fail_after(30):
                    assert (await client.health_async()).status == "ok"

    with_peer(binding, keep_alive, main)


def test_a_host_whose_addresses_all_refuse(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.2", "::1", "127.0.0.3")

    async def main() -> None:
        async with binding.client("http://hestia.test:1", retries=0) as client:
            with pytest.raises(ConnectFailed, match=r"(?i)refused"):
                await client.health_async()

    binding.run(main)


@pytest.mark.parametrize("turn", range(12))
def test_a_cancelled_choice_of_addresses_leaves_no_socket(
    binding: Binding, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.1", "127.0.0.1")

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url.replace("127.0.0.1", "hestia.test"), max_connections=1) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.health_async)
                for _ in range(turn):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            assert (await client.health_async()).status == "ok"

    with_peer(binding, keep_alive, main)


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_is_not_a_name(binding: Binding, host: str) -> None:
    async def main() -> None:
        async with binding.client(f"http://{host}", retries=0) as client:
            with pytest.raises(ConnectFailed, match=rf"cannot connect to http://{host}: .*label"):
                await client.health_async()

    binding.run(main)


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no Unix sockets")
def test_a_unix_socket(binding: Binding, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await keep_alive(stream, 0)

    async def main() -> None:
        async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            async with binding.client("http://hestia", uds=path) as client:
                assert (await client.health_async()).status == "ok"
            async with binding.client("http://hestia", uds=f"{path}-missing", retries=0) as client:
                with pytest.raises(ConnectFailed):
                    await client.health_async()
            async with binding.client("https://.a", uds=path, retries=0) as client:  # TLS wants a name
                with pytest.raises(ConnectFailed, match=r"leading dot|label empty"):
                    await client.health_async()
            tasks.cancel_scope.cancel()

    binding.run(main)


def test_a_client_names_its_event_loop_in_its_errors(binding: Binding, server_url: str) -> None:
    client = binding.client(server_url)

    async def stream() -> None:
        await anext(client.run_stream("x"))

    message = f"works under {binding.name} only: for {binding.foreign} there is {binding.counterpart}"
    for main in (client.health_async, stream, client.aclose):
        with pytest.raises(LocalProtocolError, match=message):
            binding.run_foreign(main)


def test_a_closed_client_raises(binding: Binding, server_url: str) -> None:
    async def main() -> None:
        client = binding.client(server_url)
        await client.health_async()
        await client.aclose()
        await client.aclose()
        with pytest.raises(LocalProtocolError, match="closed"):
            await client.health_async()
        with pytest.raises(LocalProtocolError, match="closed"):
            await anext(client.run_stream("x"))

    binding.run(main)


@pytest.mark.parametrize("how", ["aclose", "dropped", "with", "cancelled"])
def test_a_stream_that_is_left_early_releases_its_connection(
    binding: Binding, serve_platform: Callable[..., str], how: str
) -> None:
    url = serve_platform(token_delay=3600.0, heartbeat=3600.0)

    async def main() -> None:
        async with binding.client(url, max_connections=1) as client:
            for _ in range(3):
                stream = client.run_stream("a")
                assert (await anext(stream)).type == "start"
                if how == "with":
                    async with stream:
                        pass
                elif how == "aclose":
                    await stream.aclose()
                elif how == "cancelled":
                    with anyio.move_on_after(0.05):
                        await anext(stream)
                    with pytest.raises(LocalProtocolError, match="closed"):
                        await anext(stream)
                del stream
            gc.collect()
            with anyio.fail_after(30):
                assert (await client.run_async("a")).result == "processed: a"

    binding.run(main)


def test_a_dropped_stream_ends_its_connection(binding: Binding) -> None:
    async def begin(stream: SocketStream, number: int) -> None:
        await request(stream)
        await stream.send(STREAM)
        assert await request(stream) == b""

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url) as client:
            stream = client.run_stream("a")
            assert (await anext(stream)).type == "start"
            del stream
            await until(lambda: peer.ended == 1)

    with_peer(binding, begin, main)


def test_two_tasks_cannot_read_one_stream(binding: Binding, serve_platform: Callable[..., str]) -> None:
    url = serve_platform(token_delay=3600.0, heartbeat=3600.0)

    async def main() -> None:
        async with binding.client(url) as client, client.run_stream("a") as stream:
            await anext(stream)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stream.__anext__)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(LocalProtocolError, match="read already"):
                    await anext(stream)
                tasks.cancel_scope.cancel()

    binding.run(main)


@pytest.mark.parametrize("heartbeat", [0.05, 3600.0])
@pytest.mark.parametrize("bound", ["timeout", "deadline"])
def test_a_whole_stream_is_bounded(
    binding: Binding, serve_platform: Callable[..., str], heartbeat: float, bound: str
) -> None:
    url = serve_platform(token_delay=3600.0, heartbeat=heartbeat)

    async def main(seconds: float) -> None:
        async with binding.client(url) as client:
            stream = client.run_stream("a", **{bound: seconds})
            assert (await anext(stream)).type == "start"
            with pytest.raises(TimedOut, match=f"{seconds:g} s"):
                await anext(stream)

    within(0.3, lambda seconds: binding.run(main, seconds))


def test_a_stream_that_is_silent_times_out(binding: Binding) -> None:
    async def begin(stream: SocketStream, number: int) -> None:
        await request(stream)
        await stream.send(STREAM)
        assert await request(stream) == b""

    async def main(seconds: float, peer: Peer) -> None:
        async with binding.client(peer.url, timeout=seconds) as client:
            stream = client.run_stream("a")
            assert (await anext(stream)).type == "start"
            with pytest.raises(TimedOut, match="sent nothing for too long"):
                await anext(stream)

    within(0.3, lambda seconds: with_peer(binding, begin, partial(main, seconds)))


@pytest.mark.parametrize("ending", [b"", b": heartbeat\n\n"], ids=["silence", "heartbeats"])
def test_a_server_that_goes_on_after_done_is_left(binding: Binding, ending: bytes) -> None:
    async def go_on(stream: SocketStream, number: int) -> None:
        await request(stream)
        await stream.send(STREAM + b'data: {"type":"final"}\n\ndata: {"type":"done"}\n\n')
        while ending:
            await anyio.sleep(0.05)
            await stream.send(ending)
        assert await request(stream) == b""

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url) as client:
            with anyio.fail_after(30):
                assert [event.type async for event in client.run_stream("a")] == ["start", "final", "done"]

    with_peer(binding, go_on, main)


def test_an_upload_that_is_refused_early_raises_the_refusal(binding: Binding) -> None:
    async def refuse(stream: SocketStream, number: int) -> None:
        await stream.receive(1000)
        await stream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await stream.send_eof()
        while True:  # so that what was said is not lost in a reset
            try:
                await stream.receive()
            except anyio.EndOfStream:
                return

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, retries=0) as client:
            with pytest.raises(StatusError) as refused:
                await client.run_async("x" * 8_000_000)
            assert refused.value.status_code == 413

    with_peer(binding, refuse, main)


def test_a_response_before_the_request_is_read(binding: Binding) -> None:
    async def refuse(stream: SocketStream, number: int) -> None:
        await stream.send(b"HTTP/1.1 503 Too Many Connections\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await stream.send_eof()
        await request(stream)

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, retries=0) as client:
            with pytest.raises(StatusError) as refused:
                await client.run_async("x")
            assert refused.value.status_code == 503

    with_peer(binding, refuse, main)


def test_an_unread_upload_times_out(binding: Binding) -> None:
    async def deaf(stream: SocketStream, number: int) -> None:
        await stream.receive(1)  # before that anyio reads by itself, on asyncio
        await anyio.sleep_forever()

    async def main(seconds: float, peer: Peer) -> None:
        async with binding.client(peer.url, retries=0, timeout=seconds) as client:
            with pytest.raises(TimedOut, match="sending to"):
                await client.run_async("x" * 32_000_000)

    within(0.3, lambda seconds: with_peer(binding, deaf, partial(main, seconds)))


def test_a_large_upload_and_a_large_response(binding: Binding, server_url: str) -> None:
    async def main() -> None:
        async with binding.client(server_url) as client:
            for text in "word " * 100_000, "word":  # the connection can be used again
                assert (await client.run_async(text)).result == f"processed: {text}"

    binding.run(main)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_connections": 0}, ValueError, "max_connections must be 1 or more, not 0"),
        ({"max_connections": "5"}, TypeError, "max_connections must be a whole number, not str"),
        ({"uds": b"/tmp/socket"}, TypeError, "uds must be a str or None, not bytes"),
        ({"ssl_context": True}, TypeError, "ssl_context must be an ssl.SSLContext or None, not bool"),
        ({"hooks": print}, TypeError, "hooks must be a Hooks or None"),
        ({"timeout": -1}, ValueError, "timeout"),
    ],
)
def test_wrong_arguments(binding: Binding, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        binding.client(**options)

"""TLS by the event loop's own means: what is trusted, when it is loaded, and that nothing outlasts its time."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream

from hestiaos import ConnectFailed, TimedOut
from tests.support.loops import HEALTH, STREAM, Binding, Peer, keep_alive, request, response, until, with_peer


def over_tls(context: ssl.SSLContext, *, says_goodbye: bool = False) -> Callable[[SocketStream, int], Any]:
    """Answer `health` over TLS, and other requests with a stream that ends with the connection."""

    async def serve(stream: SocketStream, number: int) -> None:
        try:
            tls = await TLSStream.wrap(stream, ssl_context=context, server_side=True, standard_compatible=says_goodbye)
        except (ssl.SSLError, anyio.EndOfStream):
            return  # a client that does not trust us
        while data := await request(tls):
            if b"/health " in data:
                await tls.send(response(HEALTH))
            else:
                await tls.send(STREAM + b'data: {"type":"final"}\n\ndata: {"type":"done"}\n\n')
                await tls.aclose()
                return

    return serve


def test_a_given_ssl_context(binding: Binding, serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async def main(peer: Peer) -> None:
        port = peer.url.rpartition(":")[2]
        async with binding.client(f"https://localhost:{port}", ssl_context=trusting) as client:
            for _ in range(2):
                assert (await client.health_async()).status == "ok"
            assert peer.connections == 1

    with_peer(binding, over_tls(serving), main)


def test_an_authority_that_is_not_trusted(binding: Binding, serving: ssl.SSLContext) -> None:
    async def main(peer: Peer) -> None:
        async with binding.client(peer.url.replace("http:", "https:"), retries=0) as client:
            with pytest.raises(ConnectFailed, match=r"(?i)certificate verify failed"):
                await client.health_async()

    with_peer(binding, over_tls(serving), main)


def test_a_certificate_for_another_host(binding: Binding, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("elsewhere.example").configure_cert(context)

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url.replace("http:", "https:"), retries=0, ssl_context=trusting) as client:
            with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1"):
                await client.health_async()

    with_peer(binding, over_tls(context), main)


def test_a_server_without_tls(binding: Binding, trusting: ssl.SSLContext) -> None:
    async def plain(stream: SocketStream, number: int) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url.replace("http:", "https:"), retries=0, ssl_context=trusting) as client:
            with pytest.raises(ConnectFailed, match=r"(?i)wrong.version.number"):
                await client.health_async()

    with_peer(binding, plain, main)


@pytest.mark.parametrize("says_goodbye", [False, True])
def test_a_stream_ends_with_the_connection(
    binding: Binding, serving: ssl.SSLContext, trusting: ssl.SSLContext, says_goodbye: bool
) -> None:
    """With or without TLS's own end, which many servers leave out (RFC 9110, section 4.3.4)."""

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url.replace("http:", "https:"), ssl_context=trusting) as client:
            with anyio.fail_after(30):
                assert [event.type async for event in client.run_stream("a")] == ["start", "final", "done"]

    with_peer(binding, over_tls(serving, says_goodbye=says_goodbye), main)


@pytest.mark.parametrize("bound", ["timeout", "deadline"])
def test_a_slow_handshake_times_out(binding: Binding, trusting: ssl.SSLContext, bound: str) -> None:
    """Each byte comes within the timeout of a read, and the whole does not come within the timeout of the connect."""

    async def drip(stream: SocketStream, number: int) -> None:
        for byte in b"\x16\x03\x03\x40\x00" + bytes(1000):  # a record of 16 KiB, which does not come to its end
            await stream.send(bytes([byte]))
            await anyio.sleep(0.02)

    async def main(peer: Peer) -> None:
        client = binding.client(peer.url.replace("http:", "https:"), ssl_context=trusting, retries=0, **{bound: 0.3})
        async with client:
            with anyio.fail_after(30), pytest.raises(TimedOut) as late:
                await client.run_async("x")
            assert not late.value.request_sent
            await until(lambda: peer.ended == 1)

    with_peer(binding, drip, main)


def test_a_handshake_that_is_cancelled_closes_its_socket(binding: Binding, trusting: ssl.SSLContext) -> None:
    async def hear(stream: SocketStream, number: int) -> None:
        while True:
            try:
                await stream.receive()
            except anyio.EndOfStream:
                return

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url.replace("http:", "https:"), ssl_context=trusting) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.health_async)
                await until(lambda: peer.connections == 1)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            await until(lambda: peer.ended == 1)

    with_peer(binding, hear, main)


def test_the_authorities_are_loaded_once_for_each_client_and_not_for_http(
    binding: Binding, serving: ssl.SSLContext, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that names them is there while the client is built, and not while it connects."""
    file = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    async def main(peer: Peer) -> None:
        plain = binding.client(peer.url)
        client = binding.client(peer.url.replace("http:", "https:"))
        file.unlink()
        monkeypatch.delenv("SSL_CERT_FILE")
        async with plain, client, anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(client.health_async)

    assert with_peer(binding, over_tls(serving), main).connections == 3
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    binding.client("http://localhost")
    with pytest.raises(ValueError, match="SSL_CERT_FILE"):
        binding.client("https://localhost")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to name the files")
def test_the_authorities_of_a_directory(
    binding: Binding, serving: ssl.SSLContext, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL finds a certificate there by the hash of its subject."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    subprocess.run(["openssl", "rehash", tmp_path], check=True)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url.replace("http:", "https:")) as client:
            assert (await client.health_async()).status == "ok"

    with_peer(binding, over_tls(serving), main)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("what", ["missing", "empty", "garbage"])
def test_authorities_that_the_environment_names_wrongly(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    path = tmp_path / "named"
    if name == "SSL_CERT_DIR" and what != "missing":
        path.mkdir()
        if what == "garbage":
            (path / "notes.txt").write_text("none")
    elif what != "missing":
        path.write_text("none" if what == "garbage" else "")
    monkeypatch.setenv(name, str(path))
    with pytest.raises(ValueError, match=name) as wrong:
        binding.client("https://localhost")
    assert str(path) in str(wrong.value)
    binding.client("http://localhost")
    binding.client("https://localhost", ssl_context=ssl.create_default_context(cafile=None))


def test_a_proxy_of_the_environment_is_not_used(
    binding: Binding, serving: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, retries=0) as client:
            assert (await client.health_async()).status == "ok"

    with_peer(binding, keep_alive, main)

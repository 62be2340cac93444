"""The clients through nginx: as it is configured by default, as one configures it for streams, and when it refuses."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable

import pytest
import trustme
from faces import Face, FacedClient, command_line
from nginx_proxy import Nginx
from sse_server import SSEServer

from hestiaos import (
    AuthenticationFailed,
    ConnectFailed,
    GovernanceBlock,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
    StreamInterrupted,
)

StartNginx = Callable[..., Nginx]
ServePlatform = Callable[..., str]

TYPES = ["start", "token", "token", "token", "final", "done"]

UNBUFFERED = "proxy_buffering off;"
BUFFERED = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
HTTP_1_0 = "proxy_http_version 1.0;"
KEPT_ALIVE = 'proxy_http_version 1.1; proxy_set_header Connection "";'
GZIP = "gzip on; gzip_min_length 0; gzip_types application/json text/event-stream;"


async def everything(client: FacedClient) -> None:
    """Calls of every method of HTTP, names that must be escaped, a stream, and a refusal of each kind."""
    ran = await client.call("run", "create a report")
    assert ran.result == "processed: create a report"
    assert (await client.call("trace", ran.trace_id)).decision == "ALLOW"
    for key in ("plain", "a/b?c#d%20 e", "../x", "ключ 🔑"):
        await client.call("secrets.set", key, "välue")
        assert await client.call("secrets.get", key) == "välue"
        await client.call("secrets.delete", key)
        with pytest.raises(NotFound):
            await client.call("secrets.get", key)
    with pytest.raises(GovernanceBlock) as block:
        await client.call("run", "rm -rf /")
    assert block.value.trace_id
    stream = client.stream("a b")
    assert await stream.types() == TYPES
    assert stream.stream.text == "processed: a b"
    with pytest.raises(GovernanceBlock):
        await client.stream("rm -rf /").next()
    assert (await client.call("health")).status == "ok"


@pytest.mark.parametrize(
    ("directives", "secure"),
    [
        pytest.param("", False, id="default"),
        pytest.param("", True, id="https"),
        pytest.param(UNBUFFERED + HTTP_1_0, False, id="http/1.0"),
        pytest.param(UNBUFFERED + KEPT_ALIVE, False, id="unbuffered"),
        pytest.param(BUFFERED + KEPT_ALIVE, False, id="buffered"),
        pytest.param(BUFFERED + HTTP_1_0 + GZIP, False, id="http/1.0 buffered gzip"),
        pytest.param(UNBUFFERED + KEPT_ALIVE + GZIP, False, id="unbuffered gzip"),
        pytest.param(UNBUFFERED + KEPT_ALIVE + GZIP, True, id="https unbuffered gzip"),
        pytest.param("keepalive_requests 2;", True, id="https few requests"),
    ],
)
def test_everything_passes_through_nginx(
    nginx: StartNginx, server_url: str, face: Face, tls: ssl.SSLContext, directives: str, secure: bool
) -> None:
    proxy = nginx(server_url, directives, ssl=secure)
    face.run(everything, proxy.url, tls=tls)
    log = [line.split() for line in proxy.stop()]
    coding = "gzip" if "gzip" in directives else "-"
    assert [codings for path, _, codings, _ in log if path in ("/api/v1/run", "/api/v1/run/stream")] == [coding] * 4
    # All went over one connection, and, where nginx closes one after two requests, over as few as it let them.
    most = 2 if "keepalive_requests" in directives else len(log)
    assert [int(number) for *_, number in log] == [index % most + 1 for index in range(len(log))]


@pytest.mark.parametrize(
    "directives",
    ["", UNBUFFERED + HTTP_1_0, UNBUFFERED + KEPT_ALIVE, UNBUFFERED + KEPT_ALIVE + GZIP],
    ids=["default", "http/1.0", "http/1.1", "gzip"],
)
def test_an_event_arrives_while_the_stream_goes_on(
    nginx: StartNginx, serve_platform: ServePlatform, face: Face, directives: str
) -> None:
    async def scenario(client: FacedClient) -> None:
        stream = client.stream("a")  # of a model that takes an hour for a word
        first = await stream.next()
        assert first is not None
        assert first.type == "start"
        assert (await client.call("run", "meanwhile")).result == "processed: meanwhile"
        await stream.leave()
        assert (await client.call("run", "after")).result == "processed: after"

    for heartbeat in (0.01, 3600.0):
        face.run(scenario, nginx(serve_platform(token_delay=3600.0, heartbeat=heartbeat), directives).url)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("directives", [UNBUFFERED, UNBUFFERED + KEPT_ALIVE + GZIP], ids=["plain", "gzip"])
def test_each_event_arrives_before_the_next_is_made(
    nginx: StartNginx, sse_server: SSEServer, face: Face, tls: ssl.SSLContext, directives: str, secure: bool
) -> None:
    proxy = nginx(sse_server.url, directives, ssl=secure)
    name = f"step by step to {proxy.url}"

    async def scenario(client: FacedClient) -> None:
        stream = client.stream(name)
        types = []
        for number in range(4):
            event = await stream.next()
            assert event is not None
            types.append(event.type)
            await client.call("secrets.set", name, str(number))
        assert types + await stream.types() == TYPES
        await client.call("secrets.delete", name)

    face.run(scenario, proxy.url, tls=tls)
    logged = next(line.split() for line in proxy.stop() if line.startswith("/api/v1/run/stream "))
    assert logged[2] == ("gzip" if "gzip" in directives else "-")


@pytest.mark.parametrize("directives", [UNBUFFERED + GZIP, BUFFERED], ids=["unbuffered", "buffered"])
def test_nginx_gives_up_on_a_silent_stream(
    nginx: StartNginx, serve_platform: ServePlatform, face: Face, directives: str
) -> None:
    async def scenario(client: FacedClient) -> None:
        stream = client.stream("a")
        first = None if directives == BUFFERED else await stream.next()  # nginx drops what it has buffered
        with pytest.raises(StreamInterrupted) as cut:
            await stream.next()
        assert cut.value.events_received == (0 if directives == BUFFERED else 1)
        assert cut.value.last_event == first
        assert (await client.call("run", "after")).result == "processed: after"

    url = serve_platform(token_delay=3600.0, heartbeat=3600.0)
    face.run(scenario, nginx(url, f"proxy_read_timeout 1500ms; {directives}").url)


@pytest.mark.parametrize("directives", ["", UNBUFFERED + KEPT_ALIVE], ids=["default", "http/1.1"])
def test_the_server_notices_through_nginx_that_a_client_leaves(
    nginx: StartNginx, sse_server: SSEServer, face: Face, directives: str
) -> None:
    async def scenario(client: FacedClient) -> None:
        stream = client.stream("step and never another")
        assert await stream.next() is not None
        await stream.leave()
        await client.call("governance.status")  # which the server answers when it has seen the stream's end

    face.run(scenario, nginx(sse_server.url, directives).url)


def test_the_server_behind_nginx_dies(
    nginx: StartNginx, own_sse_server: SSEServer, kill: Callable[[], None], face: Face
) -> None:
    proxy = nginx(own_sse_server.url)

    async def scenario(client: FacedClient) -> None:
        stream = client.stream("step")
        assert await stream.next() is not None
        kill()
        with pytest.raises(StreamInterrupted) as cut:
            await stream.next()
        assert cut.value.events_received == 1
        for method, argument in (("run", "a"), ("secrets.get", "key"), ("secrets.delete", "key")):
            with pytest.raises(ServerError) as refused:
                await client.call(method, argument)
            assert (refused.value.status_code, refused.value.code) == (502, "HTTP_502")
            assert b"<h1>502 Bad Gateway</h1>" in refused.value.body
        with pytest.raises(ServerError, match="502"):
            await client.stream("a").next()

    face.run(scenario, proxy.url)


def test_a_body_that_is_too_large_for_nginx(
    nginx: StartNginx, server_url: str, face: Face, tls: ssl.SSLContext
) -> None:
    async def scenario(client: FacedClient) -> None:
        for size in (2000, 8_000_000):  # the larger is refused while it is being sent
            with pytest.raises(StatusError) as refused:
                await client.call("run", "x" * size)
            assert (refused.value.status_code, refused.value.code) == (413, "HTTP_413")
            assert b"<h1>413 Request Entity Too Large</h1>" in refused.value.body
        with pytest.raises(StatusError, match="413"):
            await client.stream("x" * 2000).next()
        assert (await client.call("run", "small")).result == "processed: small"

    for secure in (False, True):
        face.run(scenario, nginx(server_url, "client_max_body_size 1k;", ssl=secure).url, tls=tls)


@pytest.mark.parametrize("status", [302, 308])
def test_a_redirect_is_told_and_not_followed(nginx: StartNginx, server_url: str, face: Face, status: int) -> None:
    proxy = nginx(server_url, f"return {status} {server_url}$request_uri;")

    async def scenario(client: FacedClient) -> None:
        for refused in (client.call("run", "a"), client.call("health"), client.stream("a").next()):
            with pytest.raises(StatusError, match="redirect") as caught:
                await refused
            assert caught.value.status_code == status

    face.run(scenario, proxy.url)


def test_too_many_requests_for_nginx(nginx: StartNginx, server_url: str, face: Face) -> None:
    async def scenario(client: FacedClient) -> None:
        await client.call("run", "a")
        with pytest.raises(RateLimited) as refused:
            await client.call("run", "a")
        assert refused.value.retry_after is None
        assert b"<h1>429 Too Many Requests</h1>" in refused.value.body

    face.run(scenario, nginx(server_url, "limit_req zone=scarce; limit_req_status 429;").url)


def test_the_platform_answers_where_the_host_is_passed_on(nginx: StartNginx, server_url: str, face: Face) -> None:
    async def served(client: FacedClient) -> None:
        assert (await client.call("health")).status == "ok"

    async def misdirected(client: FacedClient) -> None:
        with pytest.raises(StatusError, match="without an API key") as refused:
            await client.call("health")
        assert refused.value.status_code == 421

    face.run(served, nginx(server_url).url)
    face.run(misdirected, nginx(server_url, host="hestia.example").url)


def test_the_platform_with_an_api_key_answers_under_any_host(
    nginx: StartNginx, serve_platform: ServePlatform, face: Face
) -> None:
    url = nginx(serve_platform(api_key="hunter2"), host="hestia.example").url

    async def refused(client: FacedClient) -> None:
        with pytest.raises(AuthenticationFailed):
            await client.call("run", "a")
        with pytest.raises(AuthenticationFailed):
            await client.stream("a").next()

    face.run(everything, url, api_key="hunter2")
    face.run(refused, url)
    face.run(refused, url, api_key="hunter3")


def test_nginx_is_restarted_between_two_calls(
    nginx: StartNginx, server_url: str, face: Face, tls: ssl.SSLContext
) -> None:
    for secure in (False, True):
        proxy = nginx(server_url, ssl=secure)

        async def scenario(client: FacedClient, proxy: Nginx = proxy) -> None:
            for method, *arguments in (["run", "a"], ["health"], ["secrets.set", "a", "b"]):
                await client.call(method, *arguments)
                proxy.restart()
            assert await client.stream("a b").types() == TYPES

        face.run(scenario, proxy.url, tls=tls)


def test_a_certificate_that_is_not_trusted(nginx: StartNginx, server_url: str, face: Face, tls: ssl.SSLContext) -> None:
    async def scenario(client: FacedClient) -> None:
        with pytest.raises(ConnectFailed, match="certificate verify failed"):
            await client.call("run", "a")
        with pytest.raises(ConnectFailed, match="certificate verify failed"):
            await client.stream("a").next()

    async def wrong_host(client: FacedClient) -> None:
        with pytest.raises(ConnectFailed, match="not valid for"):
            await client.call("run", "a")

    proxy = nginx(server_url, ssl=True)
    face.run(scenario, proxy.url)
    face.run(wrong_host, proxy.url.replace("127.0.0.1", "127.1"), tls=tls)


def test_plain_http_to_the_tls_port(nginx: StartNginx, server_url: str, face: Face) -> None:
    async def scenario(client: FacedClient) -> None:
        with pytest.raises(StatusError) as refused:
            await client.call("health")
        assert refused.value.status_code == 400
        assert b"The plain HTTP request was sent to HTTPS port" in refused.value.body

    face.run(scenario, nginx(server_url, ssl=True).url.replace("https", "http"))


def test_the_command_line_through_nginx(nginx: StartNginx, server_url: str, authority: trustme.CA) -> None:
    plain = nginx(server_url, BUFFERED + GZIP).url
    ran = command_line("run", "create a report", "--json", "--base-url", plain)
    assert json.loads(ran.stdout)["result"] == "processed: create a report", ran.stderr

    secure = nginx(server_url, UNBUFFERED + GZIP, ssl=True).url
    with authority.cert_pem.tempfile() as trusted:
        streamed = command_line("-u", secure, "run", "--stream", "create a report", SSL_CERT_FILE=trusted)
    assert "processed: create a report" in streamed.stdout, streamed.stderr
    refused = command_line("-u", secure, "health")
    assert refused.returncode == 1
    assert "certificate verify failed" in refused.stderr

    too_large = command_line("-u", nginx(server_url, "client_max_body_size 1;").url, "run", "hello")
    assert too_large.returncode == 1
    assert too_large.stderr.startswith("Error: [HTTP_413] ")
    assert "is this a HestiaOS server?" in too_large.stderr

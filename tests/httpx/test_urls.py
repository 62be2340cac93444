"""What httpx does not take for a URL: a request's that is too long, an invalid host, the Location of a redirect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hestiaos import (
    AsyncClient,
    Client,
    ConnectFailed,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    StatusError,
)
from tests.support.http_library import NAME
from tests.support.http_library import http as httpx
from tests.support.peer import Peer
from tests.support.steps import send

ONE = httpx.Limits(max_connections=1)
NO_HOSTS = ["http://999.1.1.1:81", "http://xn--zz99999", "http://a..b", f"http://{'a' * 64}.com"]
NO_URLS = [b"http://xn--zz99999/", b"//[::x]/", b"mailto:x", b"http://999.1.1.1/", b"/" + b"x" * 65530, b"aaa:b"]
# httpx2 looks where a redirect leads when it follows it, and not before.
LED_NOWHERE = RemoteProtocolError if NAME == "httpx" else (RemoteProtocolError, StatusError)
KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


def errors_of(kind: str, *operations: tuple[str, ...], **arguments: Any) -> list[HestiaError | None]:
    """What comes of each of these calls of one client."""

    async def each_of(client: AsyncClient) -> list[HestiaError | None]:
        errors: list[HestiaError | None] = []
        for name, *rest in operations:
            try:
                if kind == "sync":
                    getattr(client.secrets, name)(*rest)
                else:
                    await getattr(client.secrets, f"{name}_async")(*rest)
            except HestiaError as error:
                errors.append(error)
            else:
                errors.append(None)
        return errors

    async def main() -> list[HestiaError | None]:
        async with AsyncClient(**arguments) as client:
            return await each_of(client)

    return asyncio.run(main())


@KINDS
def test_a_url_that_is_too_long(kind: str) -> None:
    with Peer() as peer:
        calls = [("get", "k" * 70000), ("get", "k" * 70000), ("get", "k")]
        *refused, served = errors_of(kind, *calls, base_url=peer.url, retries=0, timeout=5, limits=ONE)
    for error in refused:
        assert isinstance(error, LocalProtocolError)
        assert isinstance(error.__cause__, httpx.InvalidURL)
        assert error.message.startswith("the request cannot be sent: URL too long, with its 700")
    assert served is None


@KINDS
@pytest.mark.parametrize("url", NO_HOSTS)
def test_a_host_that_is_not_valid(kind: str, url: str) -> None:
    calls = [("get", "k"), ("get", "k")]
    for error in errors_of(kind, *calls, base_url=url, retries=0, timeout=5, limits=ONE):
        assert isinstance(error, ConnectFailed)
        assert error.message.startswith(f"cannot connect to {url}: ")
        assert not error.request_sent


@KINDS
@pytest.mark.parametrize("location", NO_URLS, ids=lambda location: location[:20].decode())
def test_a_redirect_is_an_error_wherever_it_leads(kind: str, location: bytes) -> None:
    answer = send(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
    with Peer([answer]) as peer:
        redirected, served = errors_of(kind, ("set", "k", "v"), ("get", "k"), base_url=peer.url, retries=0, limits=ONE)
    assert type(redirected) is StatusError
    assert redirected.status_code == 302
    assert redirected.message.endswith(", a redirect, which is not followed: check the base URL")
    assert served is None


@pytest.mark.parametrize("location", NO_URLS, ids=lambda location: location[:20].decode())
def test_a_given_client_checks_the_target_of_a_redirect(location: bytes) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers=[(b"Location", location)])

    asked: list[httpx.Request] = []
    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as given,
        Client("http://h:1", http_client=given, retries=3) as client,
        pytest.raises(LED_NOWHERE),
    ):
        client.secrets.set("k", "v")
    assert len(asked) == 1


def test_a_given_asynchronous_client_checks_the_target_of_a_redirect() -> None:
    async def main() -> None:
        transport = httpx.MockTransport(lambda request: httpx.Response(302, headers={"Location": "mailto:x"}))
        async with (
            httpx.AsyncClient(transport=transport) as given,
            AsyncClient("http://h:1", http_client=given, retries=3) as client,
        ):
            with pytest.raises(
                LED_NOWHERE, match=r"http://h:1(/\S+ answered .* a redirect| redirects to .* not a URL)"
            ):
                await client.health_async()

    asyncio.run(main())

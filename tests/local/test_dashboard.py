"""The dashboard's files as they are served. tests/peers/test_dashboard.py looks at them in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files

import anyio
import httpx
import pytest

from hestiaos_local import Platform
from hestiaos_local.asgi import application
from hestiaos_local.serving._resources import PAGES, RESOURCES


@pytest.fixture
def url(serve_platform: Callable[..., str]) -> str:
    """Of a server whose dashboard is asked for without its key."""
    return serve_platform(api_key="key")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_no_key_and_may_load_nothing_from_elsewhere(url: str, path: str) -> None:
    response = httpx.get(url + path)
    assert response.status_code == 200
    assert response.headers["content-type"] == PAGES[path][1]
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = dict(each.split(" ", 1) for each in response.headers["content-security-policy"].split("; "))
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", response.text)


@pytest.mark.parametrize("path", ["/", "/dashboard.js"])
def test_a_page_that_the_browser_has_is_not_sent_again(url: str, path: str) -> None:
    tag = httpx.get(url + path).headers["etag"]
    for given in (tag, f'"other", W/{tag}', "*"):
        response = httpx.get(url + path, headers={"If-None-Match": given})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in response.headers
    assert httpx.get(url + path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_methods_of_a_page(url: str) -> None:
    whole, head = httpx.get(url + "/"), httpx.head(url + "/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    refused = httpx.post(url + "/", headers={"Authorization": "Bearer key"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_the_page_has_no_script_and_no_style_of_its_own(url: str) -> None:
    """The Content-Security-Policy would not let them run."""
    page = httpx.get(url + "/").text
    assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?![^>]*\ssrc=)", page)
    asked_for = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
    assert {f"/{each}" for each in asked_for} <= PAGES.keys()


def test_every_file_is_served() -> None:
    names = {each.name for each in files("hestiaos_local.serving").joinpath("dashboard").iterdir()}
    assert names == {file for file, _ in PAGES.values()}
    assert not PAGES.keys() & RESOURCES.keys()


def test_scripts_make_no_markup() -> None:
    """Whatever comes from the server becomes a text node."""
    folder = files("hestiaos_local.serving").joinpath("dashboard")
    for script in (each.read_text("utf-8") for each in folder.iterdir() if each.name.endswith(".js")):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|localStorage|sessionStorage", script
        )


def test_under_an_asgi_server(platform: Platform, backend: str) -> None:
    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(application(platform, api_key="key"))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get("/"), await client.head("/"), await client.get("/api/system/status")]

    page, head, status = anyio.run(main, backend=backend)
    assert "<title>HestiaOS</title>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (head.status_code, head.content, status.status_code) == (200, b"", 401)


def test_a_page_of_another_name_is_not_given_it(serve_platform: Callable[..., str]) -> None:
    """Without a key a web page whose name was made to resolve to loopback could ask as the dashboard does."""
    assert httpx.get(serve_platform(), headers={"Host": "rebound.example"}).status_code == 421

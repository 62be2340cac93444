"""Where a server listens, and why it cannot."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from hestiaos_local import Platform, ServeError, serve
from tests.support.broad import BROAD
from tests.support.raw_client import HEALTH, RawClient


def serve_once(platform: Platform, backend: str, **kwargs: Any) -> None:
    """Serve until the server listens, or refuses to."""

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await serve(platform, on_listening=lambda url: scope.cancel(), **kwargs)

    anyio.run(main, backend=backend)


def test_a_port_in_use(platform: Platform, backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError) as caught:
            serve_once(platform, backend, port=port)
    assert (
        str(caught.value) == f"127.0.0.1:{port} is in use: stop the program that listens there, or choose another port"
    )
    serve_once(platform, backend, port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
@pytest.mark.parametrize("key", [None, ""])
def test_beyond_loopback_only_with_a_key(platform: Platform, backend: str, host: str, key: str | None) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(host)} can be reached from other machines: set an API key"):
        serve_once(platform, backend, host=host, port=0, api_key=key)


def test_the_hosts_that_are_served(platform: Platform, backend: str) -> None:
    serve_once(platform, backend, host="0.0.0.0", port=0, api_key="k")
    serve_once(platform, backend, host="localhost", port=0)


def test_the_url_is_reported(start: Callable[..., str]) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", start())
    url = start(host="localhost")
    assert re.fullmatch(r"http://localhost:\d+", url)
    with RawClient(url) as peer:
        peer.send(HEALTH)
        assert peer.response()[0] == 200


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"host": ""}, ValueError, "the host must not be empty: give an address of this machine, such as 127.0.0.1"),
        ({"host": "no host"}, ServeError, "the host 'no host' cannot be resolved"),
        ({"host": "a" * 70}, ServeError, "cannot be resolved: give an address of this machine"),
        ({"host": "192.0.2.1", "api_key": "k"}, ServeError, "192.0.2.1 is not an address of this machine"),
        ({"port": 65536}, ValueError, "the port must be from 0 to 65535, not 65536"),
        ({"api_key": "two\nlines"}, ValueError, "the API key contains"),
        ({"token_delay": -1.0}, ValueError, "token_delay must be a number of seconds, 0 or more, not -1.0"),
        ({"token_delay": float("nan")}, ValueError, "token_delay must be"),
        ({"heartbeat": 0.0}, ValueError, "heartbeat must be a number of seconds greater than 0, not 0.0"),
    ],
)
def test_an_argument_that_cannot_be(
    platform: Platform, backend: str, arguments: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        serve_once(platform, backend, **({"port": 0} | arguments))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


# Here `localhost` is both addresses, as it is on most machines, whatever this one's own list says.
LOCALHOST = """
import socket, sys, anyio, httpx
from hestiaos_local import Platform, serve

backend, *addresses = sys.argv[1:]
found = socket.getaddrinfo


def find(host, *rest, **more):
    if host not in ("localhost", b"localhost"):
        return found(host, *rest, **more)
    return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)), *found("127.0.0.1", *rest, **more)]


async def main():
    async def ask(url):
        async with httpx.AsyncClient() as client:
            for address in addresses:
                print((await client.get(url.replace("localhost", address) + "/health")).status_code)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        await serve(Platform(), host="localhost", port=0, on_listening=lambda url: tasks.start_soon(ask, url))


socket.getaddrinfo = find
anyio.run(main, backend=backend)
"""
DISABLE = 'ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && exec "$@"'
WITHOUT_IPV6 = ("unshare", "--map-root-user", "--net", "sh", "-c", DISABLE, "sh")


def serve_localhost(*arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [*prefix, sys.executable, "-c", LOCALHOST, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


@BROAD
@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_localhost_is_served_in_each_family(backend: str) -> None:
    done = serve_localhost(backend, "127.0.0.1", "[::1]")
    assert (done.stdout, done.returncode) == ("200\n200\n", 0), done.stderr


@BROAD
def test_localhost_is_served_without_ipv6(backend: str) -> None:
    if subprocess.run([*WITHOUT_IPV6, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow network namespaces")
    done = serve_localhost(backend, "127.0.0.1", prefix=WITHOUT_IPV6)
    assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr

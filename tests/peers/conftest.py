"""The clients against real peers that are not ours: nginx, and uvicorn with Starlette and sse-starlette."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

sys.path.insert(0, str(Path(__file__).parent / "support"))  # with importlib's mode a test folder is not importable

from faces import FACES, Face
from nginx_proxy import Nginx, find_nginx
from sse_server import SSEServer


@pytest.fixture(params=[pytest.param(face, id=face.name, marks=pytest.mark.thorough) for face in FACES])
def face(request: pytest.FixtureRequest) -> Face:
    """One client, on one event loop or none. The session `peers` runs what asks for it."""
    assert isinstance(request.param, Face)
    return request.param


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a client verifies a server by that has its certificate from `authority`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def nginx(tmp_path: Path, authority: trustme.CA) -> Iterator[Callable[..., Nginx]]:
    """Starts nginx as a reverse proxy, as often as called, with the arguments of `Nginx`."""
    binary = find_nginx()
    if binary is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    with ExitStack() as stack:

        def start(*arguments: Any, **kwargs: Any) -> Nginx:
            prefix = tmp_path / f"nginx-{len(list(tmp_path.iterdir()))}"
            proxy = Nginx(binary, prefix, authority.issue_cert("127.0.0.1", "localhost"), *arguments, **kwargs)
            stack.callback(proxy.stop)
            return proxy

        yield start


@pytest.fixture(scope="session")
def sse_server() -> Iterator[SSEServer]:
    """A server that is not ours, for tests that leave it as it is."""
    with SSEServer() as server:
        yield server


@pytest.fixture
def own_sse_server() -> Iterator[SSEServer]:
    """A server that is not ours, for a test that ends it."""
    with SSEServer() as server:
        yield server


@pytest.fixture
def kill(own_sse_server: SSEServer) -> Callable[[], None]:
    """Ends `own_sse_server` as a crash ends it."""
    return partial(own_sse_server.end, kill=True)

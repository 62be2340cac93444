"""What every test may ask for: a platform in memory, and one served on a free port."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any

import pytest
import trustme
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal, start_blocking_portal

from hestiaos_local import Platform, serve
from tests.properties.conftest import pytest_configure  # noqa: F401  # no example has a deadline, wherever it stands

SERVER = os.environ.get("HESTIAOS_TEST_SERVER")
"""The ASGI server that serves platforms instead of ours (`uvicorn`, `hypercorn`, `hypercorn-trio`, `granian`): the
session `asgi`."""

BACKEND = "trio" if SERVER == "hypercorn-trio" else "asyncio"
"""The event loop of servers, where a test does not say which."""

pytest.register_assert_rewrite("tests.support")

# A shell starts what runs in the background with Ctrl-C ignored, and the programs that the tests start inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What is there before the first test need not be looked at by each collection: ten thousand tests take a while."""
    import_module("hypothesis")  # it looks at who refers to trio's random numbers, which could not be seen any more
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what only our own server promises, where another one serves."""
    for item in items:
        if SERVER is not None and (mark := item.get_closest_marker("own_server")) is not None:
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))


@pytest.fixture(scope="session", autouse=True)
def _quick_starts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tests start does not begin with what they have no use for.

    The authorities of the web are not loaded, which takes each client of httpx's 15 ms. Where no compiled code is to be
    written beside the source, it is written elsewhere, so that not every process compiles everything.
    """
    folder = tmp_path_factory.mktemp("started")
    trustme.CA().cert_pem.write_to_path(str(folder / "authority.pem"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
        if sys.dont_write_bytecode:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(folder / "compiled"))
        yield


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A platform in memory."""
    with Platform() as platform:
        yield platform


class ServedPlatforms:
    """Serves platforms on free ports, each in a thread with an event loop of its own.

    `served(**kwargs)` takes the arguments of `hestiaos_local.serve`, beside them `platform` and `backend`
    (`"asyncio"`, `"trio"`), and gives the base URL; `served.stop(url)` ends that server as a killed process ends.
    Where `SERVER` is set, that one serves the platform, as an ASGI application.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stops: dict[str, Callable[[], None]] = {}

    def __call__(self, *, platform: Platform | None = None, backend: str = BACKEND, **kwargs: Any) -> str:
        arguments = {"port": 0, "token_delay": 0.0} | kwargs
        with ExitStack() as stack:
            portal: BlockingPortal = stack.enter_context(start_blocking_portal(backend))
            serving: Future[None]
            task = _serve if SERVER is None else _serve_application
            serving, url = portal.start_task(task, platform or self._platform, arguments)
            self._stops[url] = partial(_stop, serving, stack.pop_all())
        return url

    def stop(self, url: str) -> None:
        """End the server at this URL. Raises what it ended with, if it did so by itself."""
        self._stops.pop(url)()

    def stop_all(self) -> None:
        """End every server that still runs."""
        with ExitStack() as stack:
            for url in list(self._stops):
                stack.callback(self.stop, url)


async def _serve(platform: Platform, arguments: dict[str, Any], *, task_status: TaskStatus[str]) -> None:
    await serve(platform, on_listening=task_status.started, **arguments)


async def _serve_application(platform: Platform, arguments: dict[str, Any], *, task_status: TaskStatus[str]) -> None:
    from hestiaos_local.asgi import application
    from tests.support.asgi_servers import serve_application

    port = arguments.pop("port")
    await serve_application(str(SERVER), application(platform, **arguments), port, task_status=task_status)


def _stop(serving: Future[None], stack: ExitStack) -> None:
    with stack:
        if not serving.cancel():
            serving.result()


class _Faults(logging.Handler):
    """Collects what a platform or a server logs as its own fault."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


@pytest.fixture
def server_faults() -> Iterator[list[str]]:
    """What servers log as their own fault. A test that provokes some clears the list; what is left fails it."""
    handler = _Faults()
    logging.getLogger("hestiaos_local").addHandler(handler)
    yield handler.records
    logging.getLogger("hestiaos_local").removeHandler(handler)
    assert handler.records == []


@pytest.fixture
def serve_platform(platform: Platform, server_faults: list[str]) -> Iterator[ServedPlatforms]:
    """Serves `platform`, or another, as often as called; fails the test if a server did."""
    served = ServedPlatforms(platform)
    yield served
    served.stop_all()


@pytest.fixture
def server_url(serve_platform: ServedPlatforms) -> str:
    """The base URL at which `platform` is served."""
    return serve_platform()

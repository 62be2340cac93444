"""`AsyncClient` keeps the promises of the clients for one event loop, on asyncio and on trio, by the same tests."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos import AsyncClient
from tests.loops import test_clients, test_closing, test_lifetimes, test_tls
from tests.loops.conftest import authority, leaves_nothing, serving, trusting  # noqa: F401  # fixtures
from tests.support.broad import LOOPS
from tests.support.http_library import NAME, http
from tests.support.loops import Binding

# What says something else here, or nothing.
OTHERWISE = {
    "test_every_method",  # its name
    "test_the_quickstart_runs_with_only_the_import_changed",
    "test_importing_the_package_loads_no_http_library",
    "test_an_idle_connection_expires",  # by httpcore's own clock
    "test_a_host_that_is_not_a_name",
    "test_a_unix_socket",
    "test_a_client_names_its_event_loop_in_its_errors",
    "test_wrong_arguments",
    "test_one_client_serves_several_runs",
    "test_a_name_lookup_that_cannot_start_its_thread",
    "test_a_client_with_unpicklable_arguments_cannot_be_pickled",
    "test_a_proxy_of_the_environment_is_not_used",
}
if NAME == "httpx2":
    OTHERWISE.add("test_an_unread_upload_times_out")  # there it is the response that is waited for
for module in test_clients, test_closing, test_lifetimes, test_tls:
    names = {name for name in vars(module) if name.startswith("test_")} - OTHERWISE
    globals().update({name: getattr(module, name) for name in names})


def new_client(url: str, *, max_connections: int = 100, ssl_context: Any = True, **options: Any) -> AsyncClient:
    limits = http.Limits(max_connections=max_connections, max_keepalive_connections=20, keepalive_expiry=5.0)
    return AsyncClient(url, limits=limits, verify=ssl_context, **options)


@pytest.fixture(params=LOOPS)
def binding(request: pytest.FixtureRequest) -> Binding:
    """`AsyncClient` and an event loop."""
    return Binding(request.param, new_client, "", "")

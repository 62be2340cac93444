"""What `help`, `dir` and `repr` show of the clients, which is what a user looks at first."""

from __future__ import annotations

import inspect
import pydoc
from typing import Any

import pytest

from hestiaos import AsyncClient, AsyncioClient, Client, TrioClient

BOTH = (Client, AsyncClient)
CLIENTS = (*BOTH, AsyncioClient, TrioClient)
NAMESPACES = {
    "chat": {"run"},
    "agents": {"run"},
    "system": {"status", "config", "metrics"},
    "secrets": {"get", "set", "delete"},
    "governance": {"explain", "status", "trace"},
}
RUNS = {"run", "health", "trace"}
clients = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)


def methods(client: type, names: set[str]) -> set[str]:
    """The names that a client's methods have: of the coroutines, and of the synchronous ones where it has them."""
    return {f"{name}_async" for name in names} | (names if client in BOTH else set())


@clients
def test_the_namespaces_are_attributes_of_the_class(client: type) -> None:
    for name, own in NAMESPACES.items():
        attribute = inspect.getattr_static(client, name)
        assert isinstance(attribute, property)
        assert attribute.__doc__
        assert name in dir(client)
        namespace = inspect.signature(attribute.fget, eval_str=True).return_annotation
        assert methods(client, own) <= set(dir(namespace))


@clients
def test_help_shows_all_that_a_client_has(client: type) -> None:
    shown = pydoc.plain(pydoc.render_doc(client))
    for name in NAMESPACES:
        assert f" {name}\n" in shown
    for name in methods(client, RUNS) | {"run_stream", "aclose"}:
        assert f" {name}(" in shown
    head = shown.partition("Method resolution order")[0]
    for argument in inspect.signature(client).parameters:
        assert argument in head
        assert argument in ("base_url", "api_key") or f"`{argument}`" in (client.__doc__ or "")


@clients
def test_every_public_member_has_a_docstring(client: type) -> None:
    for name, member in inspect.getmembers(client):
        if not name.startswith("_"):
            assert inspect.getdoc(member), name


@clients
def test_the_repr_of_a_client_and_its_parts(client: Any) -> None:
    made = client("http://example:1", "hunter2-4711", headers={"X-Own": "hunter2-4711"})
    assert repr(made) == f"{client.__name__}(base_url='http://example:1')"
    stream = made.run_stream("hunter2-4711", idempotency_key="hunter2-4711")
    for part in (stream, *(getattr(made, name) for name in NAMESPACES)):
        assert type(part).__name__ in repr(part)
        assert "http://example:1" in repr(part)
        assert "hunter2" not in repr(part)
    assert "open, 0 events" in repr(stream)

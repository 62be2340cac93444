"""What the package hands out by itself: every public name, those that are loaded late too."""

from __future__ import annotations

import importlib

import pytest

import hestiaos_proto

HOMES = {
    "server_messages": ("EncodedResponse", "ServerRequest", "encode_response", "encode_stream_event", "parse_request"),
    "connection": ("ClientConnection", "Control", "ServerConnection"),
    "pool": ("ConnectionPool", "Lease"),
}
LATE = [(home, name) for home, names in HOMES.items() for name in names]


@pytest.mark.parametrize("name", hestiaos_proto.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(hestiaos_proto, name) is not None


@pytest.mark.parametrize(("home", "name"), LATE, ids=[name for _, name in LATE])
def test_what_is_loaded_late_is_what_its_home_has(home: str, name: str) -> None:
    assert name in hestiaos_proto.__all__
    assert getattr(hestiaos_proto, name) is getattr(importlib.import_module(f"hestiaos_proto.{home}"), name)


@pytest.mark.parametrize("name", ["answe", "ANSWER", "call_", "STREAM_HEADERS"])
def test_any_other_name_is_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match=f"^module 'hestiaos_proto' has no attribute '{name}'$"):
        getattr(hestiaos_proto, name)

"""The table "The caller": texts and keys of every kind."""

from __future__ import annotations

import json

import pytest

from tests.support.bindings import BINDINGS, InProcess
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import SECRET, Session
from tests.support.steps import send
from tests.support.wire import ok

KEYS = {
    "../x": "..%2Fx",
    "a/b?c#d": "a%2Fb%3Fc%23d",
    "..": "%2E%2E",
    ".": "%2E",
    "%2F": "%252F",
    "a b+c": "a%20b%2Bc",
    "\0\r\n": "%00%0D%0A",
    "ключ 🔑": "%D0%BA%D0%BB%D1%8E%D1%87%20%F0%9F%94%91",
}


@fault("input with a lone surrogate, NUL, 10 MiB; keys `../x`, `a/b?c#d`, empty, emoji")
def test_unusual_keys(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for key, escaped in KEYS.items():
            assert session.call("get_secret", key) == "v"
            assert peer.requests[-1].target == f"/api/secrets/{escaped}"
            session.call("delete_secret", key)
            assert peer.requests[-1].target == f"/api/secrets/{escaped}"
        assert len(peer.requests) == 2 * len(KEYS)
        assert peer.connections == 1


@fault("input with a lone surrogate, NUL, 10 MiB; keys `../x`, `a/b?c#d`, empty, emoji")
def test_unusual_inputs(binding: type[Session]) -> None:
    inputs = {"\0": 6, "🔑\u2028": 7, "x" * (10 * 1024 * 1024): 10 * 1024 * 1024, "": 0}
    with Peer() as peer, binding(peer.url) as session:
        for text in inputs:
            assert session.call("run", text).result == "r"
            assert session.stream(text).read()[1] is None
            for request in peer.requests[-2:]:
                assert json.loads(request.body)["input"] == text
        assert len(peer.requests) == 2 * len(inputs)
        assert peer.connections == 1


@fault("input with a lone surrogate, NUL, 10 MiB; keys `../x`, `a/b?c#d`, empty, emoji", BINDINGS)
def test_inputs_that_cannot_be_encoded(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for operation, *args in (
            ("run", "a\ud800b"),
            ("chat", "\udfff"),
            ("get_secret", ""),
            ("get_secret", "\ud800"),
            ("set_secret", "", SECRET),
            ("set_secret", "key", SECRET + "\ud800"),
            ("trace", ""),
        ):
            with pytest.raises(ValueError) as wrong:  # noqa: PT011  # what it says is looked at below
                session.call(operation, *args)
            assert SECRET not in repr(wrong.value)
            assert "surrogate" in str(wrong.value) or "empty" in str(wrong.value)
        with pytest.raises(ValueError, match="surrogate"):
            session.stream("\ud800").next()
        assert peer.connections == 0


@fault("input with a lone surrogate, NUL, 10 MiB; keys `../x`, `a/b?c#d`, empty, emoji", (InProcess,))
def test_keys_and_inputs_in_process(binding: type[Session]) -> None:
    with binding("http://localhost") as session:
        for key in KEYS:
            session.call("set_secret", key, SECRET)
            assert session.call("get_secret", key) == SECRET
        for text in "\0", "🔑\u2028", "x" * (10 * 1024 * 1024):
            assert session.call("run", text).result == f"processed: {text}"


QUERIES = {
    "a&b=c#d": "a%26b%3Dc%23d",
    "+ %2F/?": "%2B%20%252F%2F%3F",
    "\0\n": "%00%0A",
    "ключ 🔑": KEYS["ключ 🔑"],
    "": "",
}
QUERY = "an argument of a query with `&`, `=`, `#`, `+`, a space, NUL, emoji, a lone surrogate"


@fault(QUERY)
def test_unusual_arguments_of_a_query(binding: type[Session]) -> None:
    empty = ok({"traces": []})
    with Peer(*([send(empty)] for _ in QUERIES)) as peer, binding(peer.url) as session:
        for before, escaped in QUERIES.items():
            assert session.call("list_traces", limit=5, before=before) == []
            assert peer.requests[-1].target == f"/api/v1/traces?limit=5&before={escaped}"
        with pytest.raises(ValueError, match="surrogate"):
            session.call("list_traces", before="\ud800")
        assert len(peer.requests) == len(QUERIES)
        assert peer.connections == 1


@fault(QUERY, (InProcess,))
def test_unusual_arguments_of_a_query_in_process(binding: type[Session]) -> None:
    with binding("http://localhost") as session:
        session.call("run", "x")
        for before in QUERIES:
            assert session.call("list_traces", limit=5, before=before) == []
        assert [each.decision for each in session.call("list_traces")] == ["ALLOW"]

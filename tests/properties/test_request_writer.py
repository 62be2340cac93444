"""Properties of requests: what is written without h11 is, byte for byte, what h11 writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from hestiaos_proto import Config, Operation, Request, operations
from hestiaos_proto._connection.request_writer import write_by_h11, write_plain

NOT_PLAIN = {"connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"}

# What a request may be made of: the operations with any arguments, and any configuration.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = TEXT.filter(bool)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3))
OPERATIONS: st.SearchStrategy[Operation[Any]] = st.one_of(
    st.builds(operations.run, TEXT, session_id=st.none() | TEXT, timeout_ms=st.none() | st.integers(0, 10**6)),
    st.builds(operations.run_stream, TEXT, agent_id=st.none() | TEXT),
    st.builds(operations.chat, TEXT),
    st.builds(operations.run_agent, TEXT, TEXT, config=st.none() | st.dictionaries(TEXT, JSON, max_size=3)),
    st.builds(operations.set_secret, KEYS, TEXT),
    st.builds(operations.explain, TEXT, st.dictionaries(TEXT, JSON, max_size=3)),
    st.builds(operations.trace, KEYS),
    st.builds(operations.get_secret, KEYS),
    st.builds(operations.delete_secret, KEYS),
    st.builds(operations.governance_trace, KEYS),
    st.sampled_from(
        [
            operations.health(),
            operations.system_status(),
            operations.system_config(),
            operations.system_metrics(),
            operations.governance_status(),
        ]
    ),
)
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\t"), max_size=20).map(
    lambda text: text.strip(" \t")
)
NAMES = st.sampled_from(
    ["X-A", "accept", "User-Agent", "TE", "Trailer", "Connection", "expect", "Upgrade", "Hostname", "Cookie", "~!#"]
)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=3)
URLS = st.sampled_from(
    ["http://localhost:8000", "https://h", "http://h:1/root/", "http://[::1]:80", "http://H.Example/a%20b/c"]
)


@given(OPERATIONS, URLS, HEADERS, st.none() | VISIBLE, st.none() | VALUES.filter(bool))
@example(operations.health(), "http://h", {}, None, None)
def test_any_request_is_written_as_h11_writes_it(
    operation: Operation[Any], base_url: str, headers: dict[str, str], api_key: str | None, key: str | None
) -> None:
    """Every request that the operations, a configuration and an idempotency key can make."""
    request = operation.request(Config(base_url=base_url, api_key=api_key, headers=headers), key)
    data, _ = write_by_h11(request)
    plain = {name.lower() for name in headers}.isdisjoint(NOT_PLAIN)
    assert write_plain(request) == (data if plain else None)


ANYTHING = st.text(st.characters(max_codepoint=0x2FF), max_size=6)


@given(
    st.sampled_from(["GET", "POST", "HEAD", "CONNECT", "OPTIONS", "get", "GET /x HTTP/1.1\r\nX: y\r\n\r\nGET", ""]),
    ANYTHING | st.just("/"),
    st.dictionaries(ANYTHING | NAMES | st.just("Host"), ANYTHING | VALUES, max_size=3),
    ANYTHING | st.just("h"),
    st.binary(max_size=3),
)
@example("GET", "/", {"X": "y\r\nHost: other"}, "h", b"")
@example("GET", "/ HTTP/1.1\r\nX: y", {}, "h", b"")
@example("GET", "/", {"X\r\nHost": "other"}, "h", b"")
@example("GET", "/", {}, "h\r\nX: y", b"")
@example("GET", "/", {"X": "y "}, "h", b"")
@example("POST", "/", {"Content-Length": "5"}, "h", b"")
@example("GET", "/", {"X": "\xe9"}, "h", b"")
@example("GET", "/", {"X": "y\n"}, "h", b"")
def test_what_h11_refuses_is_not_written(
    method: str, target: str, headers: Mapping[str, str], host: str, body: bytes
) -> None:
    """Whatever a request of somebody's own making has in it, it is written as h11 writes it, or is left to h11."""
    request = Request(method, f"http://{host}", target, headers, body)
    if (data := write_plain(request)) is None:
        return
    assert data == write_by_h11(request)[0]
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    head = server.next_event()
    assert isinstance(head, h11.Request)
    assert (head.method.decode(), head.target.decode()) == (method, target)
    assert len(head.headers) == len(headers) + 1 + bool(body)

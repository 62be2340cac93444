"""The size of a message's head is that of its bytes on the wire."""

from __future__ import annotations

import h11
import pytest

from hestiaos_proto._connection.heads import MAX_HEAD_SIZE, head_size, unquoted

HEADERS = [("Host", "localhost:8000"), ("X-Long", "a, b"), ("Accept", "*/*")]


@pytest.mark.parametrize(
    "request_head",
    [
        h11.Request(method="GET", target="/", headers=HEADERS),
        h11.Request(method="DELETE", target="/api/secrets/key", headers=HEADERS[:1]),
    ],
    ids=["GET", "DELETE"],
)
def test_a_request(request_head: h11.Request) -> None:
    assert head_size(request_head) == len(h11.Connection(h11.CLIENT).send(request_head) or b"")


@pytest.mark.parametrize("headers", [[], HEADERS[1:2], HEADERS[1:]], ids=["none", "one", "two"])
@pytest.mark.parametrize("reason", [b"OK", b""], ids=["with a reason", "without"])
def test_a_response(headers: list[tuple[str, str]], reason: bytes) -> None:
    lines = [b"HTTP/1.1 200 " + reason, *(f"{name}: {value}".encode() for name, value in headers), b"", b""]
    assert head_size(h11.Response(status_code=200, headers=headers, reason=reason)) == len(b"\r\n".join(lines))


def test_the_bound_is_64_kib() -> None:
    assert MAX_HEAD_SIZE == 65536


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("illegal header line: bytearray(b'X : key')", "illegal header line"),
        ('illegal request line: bytearray(b"it\'s \n")', "illegal request line"),
        ("bad Content-Length b'1, 2', and more", "bad Content-Length"),
        ("no request line received", "no request line received"),
    ],
)
def test_what_h11_quotes_is_left_out_in_the_exception_too(said: str, told: str) -> None:
    error = h11.RemoteProtocolError(said)
    assert unquoted(error) == told
    assert str(error) == told

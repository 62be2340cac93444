"""The size of a response's head is that of its bytes on the wire."""

from __future__ import annotations

import h11
import pytest

from hestiaos_proto._connection.heads import MAX_HEAD_SIZE, head_size

HEADERS = [("Server", "x"), ("X-Long", "a, b"), ("Accept", "*/*")]


@pytest.mark.parametrize("headers", [[], HEADERS[1:2], HEADERS[1:]], ids=["none", "one", "two"])
@pytest.mark.parametrize("reason", [b"OK", b""], ids=["with a reason", "without"])
def test_its_size(headers: list[tuple[str, str]], reason: bytes) -> None:
    lines = [b"HTTP/1.1 200 " + reason, *(f"{name}: {value}".encode() for name, value in headers), b"", b""]
    assert head_size(h11.Response(status_code=200, headers=headers, reason=reason)) == len(b"\r\n".join(lines))


def test_the_bound_is_64_kib() -> None:
    assert MAX_HEAD_SIZE == 65536

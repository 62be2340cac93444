"""Which heads of responses are plain, and what is read of them."""

from __future__ import annotations

import pytest

from hestiaos_proto._connection.plain_heads import MAX_PLAIN_HEAD, PlainHead, plain_head


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("data", "status", "length", "keep_alive"),
    [
        (head("Content-Length: 5"), 200, 5, True),
        (head("content-length:005"), 200, 5, True),
        (head("CONTENT-LENGTH:   0"), 200, 0, True),
        (head("Content-Length: 123456789012345"), 200, 123456789012345, True),
        (head("TRANSFER-ENCODING: chunked"), 200, None, True),
        (head("Content-Length: 5", "Connection: Keep-Alive"), 200, 5, True),
        (head("Content-Length: 5", "Connection: Close"), 200, 5, False),
        (head("Connection: close", "Connection: keep-alive", "Content-Length: 5"), 200, 5, False),
        (head("Content-Length: 5", status="HTTP/1.1 503"), 503, 5, True),
        (head("Content-Length: 5", status="HTTP/1.1 404  Not  Found "), 404, 5, True),
        (head(status="HTTP/1.1 103 Early Hints"), 103, None, True),
    ],
)
def test_a_plain_head(data: bytes, status: int, length: int | None, keep_alive: bool) -> None:
    read = plain_head(data)
    assert read is not None
    assert (read.status_code, read.length, read.keep_alive) == (status, length, keep_alive)


def test_its_headers() -> None:
    read = plain_head(head("X:", "X-Y:  X  b:c", "Content-Length: 05"))
    assert read == PlainHead(200, [(b"x", b""), (b"x-y", b"X  b:c"), (b"content-length", b"05")], 5, True)


@pytest.mark.parametrize("more", [0, 1])
def test_the_largest_head(more: int) -> None:
    rest = head("Content-Length: 5", "X: ")
    data = head("Content-Length: 5", "X: " + "x" * (16 * 1024 - len(rest) + more))
    assert len(data) == MAX_PLAIN_HEAD + more
    assert (plain_head(data) is None) is (more == 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        head(),
        head("X: y"),
        head("Content-Length: 5", "Content-Length: 5"),
        head("Content-Length: 5", "Transfer-Encoding: chunked"),
        head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        head("Transfer-Encoding: Chunked"),
        head("Transfer-Encoding: chunked "),
        head("Transfer-Encoding: gzip, chunked"),
        head("Content-Length: +5"),
        head("Content-Length: 5, 5"),
        head("Content-Length: 5_0"),
        head("Content-Length: \xb2"),
        head("Content-Length:"),
        head("Content-Length: 1234567890123456"),
        head("Content-Length : 5"),
        head("Content-Length: 5", "X: y", " folded"),
        head("Content-Length: 5", "X: \x00"),
        head("Content-Length: 5", "X: \t"),
        head("Content-Length: 5", "X: \xe9"),
        head("Content-Length: 5", "X: a\rb"),
        head("Content-Length: 5", "X: a\nb"),
        head("Content-Length: 5", ": y"),
        head("Content-Length: 5", "no colon"),
        head("Content-Length: 5", "Connection: upgrade"),
        head("Content-Length: 5", "Connection: keep-alive, close"),
        head("Content-Length: 5", "Proxy-Connection: close"),
        head("Content-Length: 5", status="HTTP/1.0 200 OK"),
        head("Content-Length: 5", status="HTTP/1.1 204 No Content"),
        head("Content-Length: 5", status="HTTP/1.1 304 Not Modified"),
        head("Content-Length: 5", status="HTTP/1.1 600 OK"),
        head("Content-Length: 5", status="HTTP/1.1 100 Continue"),
        head("Content-Length: 5", status="HTTP/1.1  200 OK"),
        head("Content-Length: 5") + b"\r\n",
        head("Content-Length: 5").replace(b"\r\n", b"\n"),
        head("Content-Length: 5", "X: " + "x" * MAX_PLAIN_HEAD),
    ],
)
def test_a_head_that_is_not_plain(data: bytes) -> None:
    assert plain_head(data) is None


def test_a_head_is_read_in_linear_time() -> None:
    """A head that fails at its last byte is given up at once, not tried in other ways."""
    lines = ["X: " + "a " * 50 + "b"] * 100
    assert plain_head(head(*lines, "Content-Length: 5")[:-1] + b"x") is None

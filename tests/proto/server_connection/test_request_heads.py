"""What a server's end takes for the head of a request, whole, byte by byte and cut at every place (RFC 9112)."""

from __future__ import annotations

import pytest
from serving import GET, HEALTH, Client, post, serve, take

from hestiaos_proto import LocalProtocolError, RemoteProtocolError, ServerConnection
from hestiaos_proto._connection.heads import MAX_HEAD_SIZE


def cuts(data: bytes) -> list[list[bytes]]:
    halves = [[data[:place], data[place:]] for place in range(1, len(data))]
    return [[data], [data[place : place + 1] for place in range(len(data))], *halves]


def status(pieces: list[bytes]) -> int:
    """The status of the response to what is not a request; nothing is called."""
    connection = ServerConnection()
    with pytest.raises(RemoteProtocolError) as caught:
        take(connection, pieces)
    answer = connection.send(caught.value)
    assert connection.must_close
    return Client().read(answer, end=True)[0]


def get(*lines: str, line: str = "GET /health HTTP/1.1") -> bytes:
    return "\r\n".join([line, *lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (get("Host: h", "Transfer-Encoding: chunked", "Content-Length: 3"), 400),
        (get("Content-Length: 3", "Host: h", "Transfer-Encoding: chunked"), 400),
        (get("Transfer-Encoding: chunked", line="POST /api/chat HTTP/1.0"), 400),
        (get("Host: h", "Transfer-Encoding: chunked, chunked"), 501),
        (get("Host: h", "Content-Length: 1, 1"), 400),
        (get("Host: h", "Content-Length: +1"), 400),
        (get("Host: h", "Content-Length: \xb2"), 400),
        (get("Host: h", "Content-Length:"), 400),
        (get(), 400),
        (get("Host: a b"), 400),
        (get("Host: a@b"), 400),
        (get("Host: a/b"), 400),
        (get("Host: a,b", "Host: c"), 400),
        (get("Host: [::1"), 400),
        (get("Host: [::zz]"), 400),
        (get("Host: [1:2]"), 400),
        (get("Host: h:80x"), 400),
        (get("Host: %zz"), 400),
        (get("Host: a b", line="GET /health HTTP/1.0"), 400),
        (get("Host: h", line="GET ftp://h/health HTTP/1.1"), 400),
        (get("Host: h", line="GET http:///health HTTP/1.1"), 400),
        (get("Host: h", line="GET http://:80/health HTTP/1.1"), 400),
        (get("Host: h", line="GET http://u@h/health HTTP/1.1"), 400),
        (get("Host: h", line="GET health HTTP/1.1"), 400),
        (get("Host: h", line="GET * HTTP/1.1"), 400),
        (get("Host: h", line="CONNECT h:443 HTTP/1.1"), 400),
        (get("Host: h", line="GET  /health HTTP/1.1"), 400),
        (get("Host: h", line="GET /health HTTP/1.1 "), 400),
        (get("Host: h", line="GET /health http/1.1"), 400),
        (get("Host: h", line="GET /health"), 400),
        (get("Host: h", line="GET /health HTTP/2.0"), 505),
        (get("Host: h", line="GET /health HTTP/0.9"), 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\r\n\r\n" + GET, 400),
        (b" " + GET, 400),
        (b"\n" + GET, 400),
        (GET.replace(b"\r\n", b"\n"), 400),
        (GET.replace(b"\r\nHost", b"\nHost"), 400),
        (b"GET /health HTTP/1.1\r\nHost: h\n\r\n", 400),
        (get("Host: h", "X: a\rb"), 400),
        (get("Host: h", "X: a\0b"), 400),
        (get("Host: h", "X: a", " folded"), 400),
        (get("Host: h", ": a"), 400),
    ],
    ids=lambda value: None if isinstance(value, int) else repr(value),
)
def test_what_is_not_a_request(data: bytes, expected: int) -> None:
    for pieces in cuts(data):
        assert status(pieces) == expected


@pytest.mark.parametrize(
    ("data", "host"),
    [
        (get("Host: LocalHost.:80"), "LocalHost.:80"),
        (get("Host: [::1]:8000"), "[::1]:8000"),
        (get("Host: [::ffff:1.2.3.4]"), "[::ffff:1.2.3.4]"),
        (get("Host: a%2Cb"), "a%2Cb"),
        (get("Host:"), ""),
        (get("Host: h:"), "h:"),
        (get("Host: other", line="GET http://h:1/health HTTP/1.1"), "h:1"),
        (get("Host: other", line="GET HTTPS://h/health?x HTTP/1.1"), "h"),
        (get("HOST:\t h \t"), "h"),
        (get("Host: h", line="GET /health HTTP/1.9"), "h"),
        (b"\r\n" + get("Host: h"), "h"),
    ],
    ids=repr,
)
def test_the_host_that_counts(data: bytes, host: str) -> None:
    """RFC 9112, section 3.2.2: where the target is a URL, its host does."""
    for pieces in cuts(data):
        (call,) = take(ServerConnection(), pieces)
        assert (call.operation, call.headers["host"]) == ("health", host)


def test_an_absolute_form_without_a_path_has_the_root() -> None:
    (call,) = take(ServerConnection(), [get("Host: h", line="GET http://h?x HTTP/1.1")])
    assert (call.target, call.refusal is not None) == ("/?x", True)


def test_each_request_may_have_one_empty_line_before_it() -> None:
    """RFC 9112, section 2.2."""
    connection = ServerConnection()
    for _ in range(3):
        assert serve(connection, b"\r\n" + GET).operation == "health"
        connection.send(HEALTH)
    connection.receive_data(b"\r\n")
    assert list(connection.events()) == []
    connection.receive_data(b"")
    assert list(connection.events()) == []
    assert connection.must_close


def test_one_half_of_an_empty_line_is_not_a_request() -> None:
    assert status([b"\r", b""]) == 400


@pytest.mark.parametrize("value", ["close", "Keep-Alive, CLOSE", "x,close"])
def test_a_client_that_wants_to_close(value: str) -> None:
    connection = ServerConnection()
    serve(connection, get("Host: h", f"Connection: {value}"))
    assert Client().read(connection.send(HEALTH), end=True)[1]["connection"] == "close"
    assert connection.must_close


@pytest.mark.parametrize("value", ["keep-alive", "closed", ""])
def test_a_client_that_does_not(value: str) -> None:
    connection = ServerConnection()
    serve(connection, get("Host: h", f"Connection: {value}"))
    assert "connection" not in Client().read(connection.send(HEALTH))[1]
    assert not connection.must_close


@pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
def test_an_http_1_0_client_never_waits_for_100(value: str) -> None:
    """RFC 9110, section 10.1.1."""
    head, _, body = post("/api/chat", b'{"message":"x"}', f"Expect: {value}", version="1.0").partition(b"\r\n\r\n")
    connection = ServerConnection()
    connection.receive_data(head + b"\r\n\r\n")
    assert list(connection.events()) == []
    assert not connection.expects_continue
    assert serve(connection, body).operation == "chat"


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_a_content_coding_is_415(coding: str) -> None:
    connection = ServerConnection()
    head = post("/api/chat", b'{"message":"x"}', f"Content-Encoding: {coding}").partition(b"\r\n\r\n")[0]
    call = serve(connection, head + b"\r\n\r\n")  # before the body
    code, headers, _ = Client().read(connection.send(call.refusal))
    assert (code, headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize("line", ["Content-Encoding: identity", "Content-Encoding: IDENTITY"])
def test_a_body_as_it_is_has_no_coding(line: str) -> None:
    assert serve(ServerConnection(), post("/api/chat", b'{"message":"x"}', line)).operation == "chat"
    assert serve(ServerConnection(), get("Host: h", "Content-Encoding: gzip")).operation == "health"  # no body


@pytest.mark.parametrize("size", [MAX_HEAD_SIZE - 2, MAX_HEAD_SIZE - 1])
def test_a_line_feed_alone_near_the_limit(size: int) -> None:
    data = get("Host: h").removesuffix(b"\r\n")
    data += b"X: " + b"x" * (size - len(data) - 4) + b"\n"
    assert len(data) == size
    for step in (size, 1000):
        assert status([data[place : place + step] for place in range(0, len(data), step)]) == 400


def test_a_header_that_cannot_be_written_is_refused_and_the_call_can_be_answered() -> None:
    connection = ServerConnection()
    serve(connection, GET)
    for headers in ((("X", "a\r\nY: b"),), (("X y", "a"),), (("X", "\u20ac"),)):
        with pytest.raises(LocalProtocolError, match="a header's name must be a token"):
            connection.send(HEALTH, headers)
    assert Client().read(connection.send(HEALTH, (("X", "a"),)))[1]["x"] == "a"

"""A server's own paths beside the wire's operations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import EVENTS, GET, Client, chunked, post, serve

from hestiaos_proto import Control, EncodedResponse, LocalProtocolError, NotFound, ResponseHead, ServerConnection

OWN = {"/v1/models": ("GET",), "/v1/chat": ("POST",)}
MODELS = b"GET /v1/models?x HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = ResponseHead(200, (("Content-Type", "text/plain"),))
WHOLE = EncodedResponse(200, (("Content-Length", "2"),), b"ok")


@pytest.fixture
def connection() -> Iterator[ServerConnection]:
    connection = ServerConnection(resources=OWN)
    yield connection
    serve(connection, GET)  # each test leaves it to be used again


def test_a_request_has_its_body(connection: ServerConnection) -> None:
    for request in (post("/v1/chat", b"any"), chunked("/v1/chat", b"a", b"ny")):
        call = serve(connection, request)
        assert (call.operation, call.resource, call.body, call.method) == ("", "/v1/chat", b"any", "POST")
        assert Client("POST").read(connection.send(WHOLE))[2] == b"ok"


@pytest.mark.parametrize(("method", "body"), [("GET", b"ok"), ("HEAD", b"")])
def test_a_whole_response(connection: ServerConnection, method: str, body: bytes) -> None:
    assert serve(connection, MODELS.replace(b"GET", method.encode())).resource == "/v1/models"
    assert Client(method).read(connection.send(WHOLE))[2] == body


def test_another_method_is_405(connection: ServerConnection) -> None:
    call = serve(connection, MODELS.replace(b"GET", b"PUT"))
    assert Client("PUT").read(connection.send(call.refusal))[1]["allow"] == "GET, HEAD"


@pytest.mark.parametrize(("method", "body"), [("GET", b"one, : heartbeat\n\ntwo"), ("HEAD", b"")])
def test_a_body_in_pieces(connection: ServerConnection, method: str, body: bytes) -> None:
    serve(connection, MODELS.replace(b"GET", method.encode()))
    items = [HEAD, b"one, ", Control.HEARTBEAT, b"two", b""]
    status, headers, read = Client(method).read(b"".join(map(connection.send, items)))
    assert (status, headers["content-type"], headers["transfer-encoding"], read) == (200, "text/plain", "chunked", body)


def test_to_an_http_1_0_client_the_end_of_the_connection_is_the_end_of_the_body() -> None:
    connection = ServerConnection(resources=OWN)
    serve(connection, MODELS.replace(b"1.1", b"1.0"))
    out = b"".join(map(connection.send, [HEAD, b"one", b""]))
    _, headers, body = Client().read(out, end=True)
    assert (headers["connection"], "transfer-encoding" in headers, body) == ("close", False, b"one")
    assert connection.must_close


def test_a_refusal(connection: ServerConnection) -> None:
    serve(connection, MODELS)
    assert Client().read(connection.send(NotFound()))[0] == 404


def test_items_that_are_not_a_response(connection: ServerConnection) -> None:
    serve(connection, MODELS)
    for item in (b"x", "x", None, EVENTS[0], Control.HEARTBEAT):
        with pytest.raises(LocalProtocolError, match="/v1/models has an EncodedResponse as its response, or"):
            connection.send(item)
    connection.send(HEAD)
    for item in ("x", None, EVENTS[0], HEAD, WHOLE):
        with pytest.raises(LocalProtocolError, match="/v1/models has a ResponseHead: after it, send bytes"):
            connection.send(item)
    with pytest.raises(LocalProtocolError, match="the response has begun"):
        connection.send(NotFound())
    connection.send(b"")

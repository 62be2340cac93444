"""What a server's end makes of requests, in whatever pieces."""

from __future__ import annotations

from typing import Any

import pytest
from serving import (
    GET,
    Client,
    chunked,
    post,
    serve,
)

from hestiaos_proto import (
    RemoteProtocolError,
    ServerConnection,
)


class TestRequests:
    @pytest.mark.parametrize(
        ("data", "operation", "arguments"),
        [
            (GET, "health", {}),
            (b"GET http://h:1/api/v1/health?x HTTP/1.1\r\nHost: h:1\r\n\r\n", "health", {}),
            (b"DELETE /api/secrets/a%2Fb HTTP/1.1\r\nHost: h\r\n\r\n", "delete_secret", {"key": "a/b"}),
            (post("/api/chat", b'{"message":"hi"}'), "chat", {"message": "hi", "session_id": None}),
            (chunked("/api/chat", b'{"mess', b'age":"hi"}'), "chat", {"message": "hi", "session_id": None}),
            (b"GET /api/v1/health HTTP/1.0\r\n\r\n", "health", {}),
        ],
        ids=["get", "absolute form", "delete", "post", "chunked", "HTTP/1.0"],
    )
    def test_whole_and_in_every_two_pieces_and_byte_by_byte(
        self, data: bytes, operation: str, arguments: dict[str, Any]
    ) -> None:
        halves = [[data[:i], data[i:]] for i in range(1, len(data))]
        for pieces in [[data], [data[i : i + 1] for i in range(len(data))], *halves]:
            connection, calls = ServerConnection(), []
            for piece in pieces:
                connection.receive_data(piece)
                calls += connection.events()
            assert [(call.operation, call.arguments) for call in calls] == [(operation, arguments)]

    def test_headers_are_lower_case_and_repeated_ones_one_list(self) -> None:
        lines = ["Authorization: Bearer k", "IDEMPOTENCY-KEY: i", "X-A: 1", "x-a: 2", "X-B: \xe9"]
        data = GET[:-2] + "\r\n".join([*lines, "", ""]).encode("latin-1")
        call = serve(ServerConnection(), data)
        assert (call.key, call.idempotency_key) == ("k", "i")
        assert (call.headers["x-a"], call.headers["x-b"]) == ("1, 2", "é")

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            (b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", 404),
            (b"PUT /api/chat HTTP/1.1\r\nHost: h\r\n\r\n", 405),
            (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 404),
            (post("/api/chat", b"{}"), 422),
            (post("/api/chat", b"nonsense"), 422),
            (b"GET /api/secrets/%FF HTTP/1.1\r\nHost: h\r\n\r\n", 422),
            (b"GET /api/secrets/\xff HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ],
        ids=["404", "405", "options", "422", "no JSON", "not UTF-8", "raw byte"],
    )
    def test_what_is_refused_is_a_call_that_carries_its_refusal(self, data: bytes, status: int | None) -> None:
        connection = ServerConnection()
        if status is None:  # RFC 9112, section 3.2: no request target holds such a byte
            with pytest.raises(RemoteProtocolError):
                serve(connection, data)
            return
        call = serve(connection, data)
        assert call.operation == ""
        assert call.refusal is not None
        assert Client().read(connection.send(call.refusal))[0] == status
        assert not connection.must_close

"""Bodies in chunks, whole, byte by byte and cut at every place (RFC 9112, section 7.1)."""

from __future__ import annotations

import pytest
from serving import GET, HEALTH, Client, serve, take

from hestiaos_proto import RemoteProtocolError, ServerConnection

HEAD = b"POST /api/chat HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
MESSAGE = b'{"message":"hi"}'
LINE = 4096


def cuts(data: bytes) -> list[list[bytes]]:
    halves = [[data[:place], data[place:]] for place in range(1, len(data))] if len(data) < 1000 else []
    return [[data], [data[place : place + 1] for place in range(len(data))], *halves]


@pytest.mark.parametrize(
    "body",
    [
        b"10\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
        b"".join(b"1\r\n%c\r\n" % byte for byte in MESSAGE) + b"0\r\n\r\n",
        b"00000010\r\n" + MESSAGE + b"\r\n000\r\n\r\n",
        b"10;a=b;c\r\n" + MESSAGE + b"\r\n0 ; x\r\n\r\n",
        b"10\t;\xe9=\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
        b"A\r\n" + MESSAGE[:10] + b"\r\n6\r\n" + MESSAGE[10:] + b"\r\n0\r\nX-A: b\r\nX-C:\r\n\r\n",
        b"10;" + b"x" * (LINE - 5) + b"\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
    ],
    ids=["one", "of one byte", "zeros", "extensions", "odd extensions", "trailers", "a long extension"],
)
def test_a_body_in_chunks(body: bytes) -> None:
    for pieces in cuts(HEAD + body + GET):
        connection, operations = ServerConnection(), []
        for piece in pieces:
            connection.receive_data(piece)
            for call in connection.events():
                operations.append(call.operation)
                if call.operation == "chat":
                    assert call.arguments["message"] == "hi"
                    connection.send(ValueError())
        assert operations == ["chat", "health"]
        assert Client().read(connection.send(HEALTH))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"1 \r\n",
        b"1;a\0\r\n",
        b"1;\n\r\n",
        b"1\nx\n",
        b"1\r\nxy\r\n",
        b"1\r\nx\n",
        b"1\r\nx\rx",
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 1000,
        b"1;" + b"x" * LINE,
        b"1;" + b"x" * LINE + b"\r\nx\r\n0\r\n\r\n",
        b"0\r\nX: " + b"y" * LINE + b"\r\n\r\n",
        b"0" * 21 + b"\r\n",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_chunks_that_are_broken(body: bytes) -> None:
    for pieces in cuts(HEAD + body):
        connection = ServerConnection()
        with pytest.raises(RemoteProtocolError, match=r"this is not an HTTP/1\.1 request: ") as caught:
            take(connection, pieces)
        assert connection.send(caught.value).startswith(b"HTTP/1.1 400 ")


def test_a_chunk_over_the_limit_is_refused_by_its_size() -> None:
    connection = ServerConnection(max_body_size=16)
    assert serve(connection, HEAD + b"11\r\n").refusal.status_code == 413
    assert serve(ServerConnection(max_body_size=16), HEAD + b"10\r\n" + MESSAGE + b"\r\n0\r\n\r\n").refusal is None
    call = serve(ServerConnection(max_body_size=16), HEAD + b"f" * 20 + b"\r\n")
    assert call.refusal.status_code == 413


def test_a_body_that_ends_early() -> None:
    for data in (HEAD, HEAD + b"1\r\n", HEAD + b"1\r\nx\r\n0\r\n", HEAD + b"0\r\nX: y\r\n"):
        connection = ServerConnection()
        connection.receive_data(data)
        assert list(connection.events()) == []
        connection.receive_data(b"")
        with pytest.raises(RemoteProtocolError, match="it ends inside its body"):
            list(connection.events())

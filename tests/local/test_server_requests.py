"""Requests over real sockets, byte for byte: kept connections, pieces, what is not HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from hestiaos_local import Platform
from tests.support.raw_client import HEALTH, RUN, RawClient, post


def test_a_connection_is_kept_alive(start: Callable[..., str]) -> None:
    with RawClient(start()) as peer:
        for _ in range(3):
            peer.send(post("/api/v1/run", RUN))
            status, body = peer.response()
            assert (status, body["result"]) == (200, "processed: create a report")
        peer.send(post("/api/v1/run/stream", RUN))
        assert [json.loads(event[6:])["type"] for event in peer.stream()] == [
            "start",
            *["token"] * 4,
            "final",
            "done",
        ]
        peer.send(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert peer.head()[0] == 200
        assert json.loads(peer.file.read())["status"] == "ok"  # all up to the end of the connection


@pytest.mark.own_server("an ASGI server names itself")
def test_the_server_names_itself_and_the_time(start: Callable[..., str]) -> None:
    with RawClient(start()) as peer:
        peer.send(HEALTH)
        _, headers = peer.head()
    assert headers["server"].split("/")[0] == "hestiaos"
    assert "date" in headers


def test_requests_may_come_ahead_and_in_pieces(start: Callable[..., str]) -> None:
    with RawClient(start()) as peer:
        peer.send(HEALTH + post("/api/v1/run/stream", RUN) + post("/api/v1/run", RUN) + HEALTH[:20])
        assert peer.response()[1]["status"] == "ok"
        assert len(peer.stream()) == 7
        assert peer.response()[1]["mode"] == "ALLOW"
        for byte in HEALTH[20:]:
            peer.send(bytes([byte]))
        assert peer.response()[1]["status"] == "ok"


@pytest.mark.own_server("granian takes a client that sends no more as gone")
def test_a_client_that_sends_no_more_still_gets_its_answers(start: Callable[..., str]) -> None:
    with RawClient(start()) as peer:
        peer.send(HEALTH + HEALTH)
        peer.socket.shutdown(socket.SHUT_WR)
        assert [peer.response()[0] for _ in range(2)] == [200, 200]
        assert peer.at_end()


def test_100_continue(start: Callable[..., str]) -> None:
    with RawClient(start()) as peer:
        request = post("/api/v1/run", RUN, "Expect: 100-continue")
        peer.send(request[: -len(RUN)])
        assert peer.head()[0] == 100
        peer.send(RUN)
        assert peer.response()[0] == 200


@pytest.mark.own_server("an ASGI server decides how long it reads what nobody wants")
def test_too_large_a_body_is_refused_and_the_client_gets_the_response(start: Callable[..., str]) -> None:
    url = start(api_key="k")
    with RawClient(url) as peer:  # this one sends all of it before it reads
        peer.send(post("/api/v1/run", b"x" * (20 * 1024**2), "Authorization: Bearer k"))
        status, body = peer.response()
        assert (status, body["code"]) == (413, "HTTP_413")
        assert peer.at_end()
    with RawClient(url) as peer:  # this one waits with it
        peer.send(
            b"POST /api/v1/run HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
            b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
        )
        assert peer.response()[0] == 413


@pytest.mark.own_server("an ASGI server answers itself what is not HTTP")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"what is this\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70_000, 431),
    ],
    ids=["TLS", "words", "header", "large"],
)
def test_garbage_is_answered_and_the_connection_ended(start: Callable[..., str], data: bytes, status: int) -> None:
    url = start()
    with RawClient(url) as peer:
        peer.send(HEALTH + data)
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.response()[0] == 200
        assert peer.response()[0] == status
        assert peer.at_end()
    with RawClient(url) as peer:
        peer.send(HEALTH)
        assert peer.response()[0] == 200


def test_a_fault_of_the_platform_is_a_500(
    start: Callable[..., str], platform: Platform, server_faults: list[str]
) -> None:
    with RawClient(start()) as peer:
        platform.close()
        peer.send(post("/api/v1/run", RUN))
        status, body = peer.response()
        assert (status, body["code"], body["message"]) == (500, "INTERNAL_ERROR", "the server failed")
        assert "is closed" in server_faults.pop()
        peer.send(HEALTH)
        assert peer.response()[0] == 200

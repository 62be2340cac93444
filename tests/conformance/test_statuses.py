"""The table "The response": what its status says."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from hestiaos import (
    HestiaError,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
)
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import KEY, SECRET, Session
from tests.support.statuses import refusals
from tests.support.steps import Request, Step, send
from tests.support.wire import response, to_json


@fault("301, 302, 303, 307, 308 to another origin")
def test_redirects(binding: type[Session]) -> None:
    with Peer() as other, Peer() as peer, binding(peer.url) as session:
        for status in 301, 302, 303, 307, 308:
            for operation, args in ("run", ["x"]), ("get_secret", ["key"]), ("run_stream", ["x"]):
                peer.add([send(response(status, b"", f"Location: {other.url}/api/v1/run"))])
                with pytest.raises(StatusError, match="redirect") as refused:
                    session.stream("x").next() if operation == "run_stream" else session.call(operation, *args)
                assert type(refused.value) is StatusError
                assert refused.value.status_code == status
                assert refused.value.code == f"HTTP_{status}"
        assert session.call("run", "x").result == "r"
        assert len(peer.requests) == 16
        assert other.connections == 0


@fault(
    "400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 502, 503, 504: with the documented body, a FastAPI body,"
    " an HTML body, an empty body"
)
def test_statuses(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for refusal in refusals():
            peer.add([send(refusal.raw)])
            with pytest.raises(HestiaError) as raised:
                session.call("run", "x")
            refusal.check(raised.value)
        assert session.call("run", "x").result == "r"
        assert len(peer.requests) == len(list(refusals())) + 1
        assert peer.connections == 1


@fault(
    "400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 502, 503, 504: with the documented body, a FastAPI body,"
    " an HTML body, an empty body"
)
def test_secrets_that_a_refusal_repeats(binding: type[Session]) -> None:
    bodies = [
        {"message": SECRET},
        {"detail": [{"loc": [SECRET], "msg": KEY, "type": SECRET}]},
        {"details": {SECRET: KEY}},
    ]
    with Peer() as peer, binding(peer.url) as session:
        for body in bodies:
            for status in 400, 422, 500:
                peer.add([send(response(status, to_json(body)))])
                with pytest.raises(StatusError) as refused:  # the session itself looks at all that can be seen of it
                    session.call("set_secret", "name", SECRET)
                assert b"***" in refused.value.body


@fault("404 for an operation that came after 1.0: in any form; with the code `NOT_FOUND`")
def test_an_operation_that_the_server_does_not_have(binding: type[Session]) -> None:
    pages: list[object] = [{"detail": "Not Found"}, {"code": "GONE", "message": "gone"}, None]
    calls: list[tuple[str, list[str]]] = [
        ("list_traces", []),
        ("list_agents", []),
        ("list_secrets", []),
        ("list_sessions", []),
        ("get_session", ["s"]),
        ("delete_session", ["s"]),
    ]
    with Peer() as peer, binding(peer.url) as session:
        for operation, args in calls:
            for page in pages:
                peer.add([send(response(404, b"<html>" if page is None else to_json(page)))])
                with pytest.raises(NotFound, match=f"does not have the operation {operation}") as missing:
                    session.call(operation, *args)
                assert (missing.value.code, missing.value.status_code) == ("UNKNOWN_OPERATION", 404)
            peer.add([send(response(404, to_json({"code": "NOT_FOUND", "message": "there is none"})))])
            with pytest.raises(NotFound, match=r"^\[NOT_FOUND\] there is none$"):
                session.call(operation, *args)
        assert peer.connections == 1


@fault("429 and 503 with `Retry-After: 1`, an HTTP date, a date in the past, garbage, `-5`, `1e9` (`retries=1`)")
def test_retry_after(binding: type[Session]) -> None:
    cases: list[tuple[Callable[[type[Session], int], None], int]] = [
        (case, status)
        for case in (waits_one_second, waits_for_the_date, does_not_wait_for_the_past, counts_as_absent, is_too_long)
        for status in (429, 503)
    ]
    with ThreadPoolExecutor(len(cases)) as threads:  # they wait at the same time
        for future in [threads.submit(case, binding, status) for case, status in cases]:
            future.result()


def served_after(binding: type[Session], status: int, *values: str) -> list[tuple[Request, Request]]:
    """The two requests of a call whose first answer asks for such a wait, for each of the values."""
    scripts = [[send(response(status, b"", f"Retry-After: {value}"))] for value in values]
    found = []
    for script in scripts:
        with Peer(script) as peer, binding(peer.url, retries=1) as session:
            assert session.call("run", "x").result == "r"
            first, second = peer.requests
            assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
            assert first.body == second.body
            found.append((first, second))
    return found


def waits_one_second(binding: type[Session], status: int) -> None:
    for first, second in served_after(binding, status, "1"):
        assert second.arrived - first.arrived >= 0.99  # the wait begins with the answer, a moment after the request


def waits_for_the_date(binding: type[Session], status: int) -> None:
    date = int(time.time()) + 2
    for _, second in served_after(binding, status, formatdate(date, usegmt=True)):
        assert second.arrived >= date - 0.01


def does_not_wait_for_the_past(binding: type[Session], status: int) -> None:
    for first, second in served_after(binding, status, "Sun, 06 Nov 1994 08:49:37 GMT", "0"):
        assert second.arrived - first.arrived < 5


def counts_as_absent(binding: type[Session], status: int) -> None:
    for first, second in served_after(binding, status, "soon", "-5", ""):
        assert second.arrived - first.arrived < 10 * 0.5


def is_too_long(binding: type[Session], status: int) -> None:
    far = time.time() + 3600
    scripts = [
        [send(response(status, b"", "Retry-After: 1e9"))],
        [send(response(status, b"", "Retry-After: 61"))],
        [send(response(status, b"", f"Retry-After: {formatdate(far, usegmt=True)}"))],
    ]
    with Peer(*scripts) as peer, binding(peer.url, retries=1) as session:
        for wait in 1e9, 61, 3600:
            with pytest.raises(RateLimited if status == 429 else ServerError) as refused:
                session.call("run", "x")
            assert refused.value.retry_after == pytest.approx(wait, abs=30)
        assert len(peer.requests) == 3


@fault("500 on `run` (`retries=3`)")
def test_500_is_not_repeated(binding: type[Session]) -> None:
    with Peer(*[[send(response(500))]] * 3) as peer, binding(peer.url, retries=3) as session:
        for count, operation in enumerate(["run", "chat"], start=1):
            with pytest.raises(ServerError):
                session.call(operation, "x")
            assert len(peer.requests) == count
        with pytest.raises(ServerError):
            session.stream("x").next()
        assert len(peer.requests) == 3


@fault("503 twice on `run` (`retries=3`)")
def test_503_is_repeated(binding: type[Session]) -> None:
    busy: list[Step] = [send(response(503, b"", "Retry-After: 0"))]
    for operation in "run", "run_stream":
        with Peer(busy, busy) as peer, binding(peer.url, retries=3) as session:
            if operation == "run":
                assert session.call("run", "x").result == "r"
            else:
                assert len(session.stream("x").read()[0]) == 4
            assert len(peer.requests) == 3
            keys = {request.headers["idempotency-key"] for request in peer.requests}
            assert len(keys) == 1
            assert session.call("run", "x").result == "r"
            assert peer.requests[-1].headers["idempotency-key"] not in keys

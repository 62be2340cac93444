"""What a model server's error response becomes for our clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hestiaos_local.openai import (
    model_fault,
    model_protocol_error,
    model_stream_cut,
    model_timed_out,
    model_unreachable,
    upstream_error,
)
from hestiaos_proto import (
    ConnectFailed,
    ConnectionLost,
    HestiaError,
    InvalidInput,
    NotFound,
    RateLimited,
    Redactor,
    RemoteProtocolError,
    ServerError,
    StatusError,
    TimedOut,
)


def error_of(status: int, body: Any = b"", **headers: str) -> StatusError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return upstream_error(status, named, data, Redactor("sk-4711"))


@pytest.mark.parametrize(
    ("status", "kind", "told_status", "code"),
    [
        (400, InvalidInput, 422, "INVALID_INPUT"),
        (401, ServerError, 502, "MODEL_AUTHENTICATION_FAILED"),
        (403, ServerError, 502, "MODEL_FAILED"),
        (404, NotFound, 404, "MODEL_NOT_FOUND"),
        (413, InvalidInput, 422, "INVALID_INPUT"),
        (418, ServerError, 502, "MODEL_FAILED"),
        (422, InvalidInput, 422, "INVALID_INPUT"),
        (429, RateLimited, 429, "MODEL_RATE_LIMITED"),
        (500, ServerError, 502, "MODEL_FAILED"),
        (502, ServerError, 502, "MODEL_FAILED"),
        (503, ServerError, 503, "MODEL_UNAVAILABLE"),
        (204, ServerError, 502, "MODEL_FAILED"),
    ],
)
def test_statuses(status: int, kind: type[StatusError], told_status: int, code: str) -> None:
    error = error_of(status, {"error": {"message": "because"}})
    assert type(error) is kind
    assert (error.status_code, error.code) == (told_status, code)
    assert error.message.endswith(f": status {status}: because")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": {"message": "because"}}, ": because"),
        ({"error": "because"}, ": because"),
        ({"message": "because"}, ": because"),
        ({"detail": "because"}, ": because"),
        ({"object": "error", "message": "because"}, ": because"),
        ("because", ": because"),
        ({}, ""),
        ([], ""),
        ({"error": {"code": 7}}, ""),
        (b"", ""),
        (b" \n", ""),
        (b"<html>busy</html>", ": '<html>busy</html>'"),
        (b"\xff\xfe", ": '\ufffd\ufffd'"),
    ],
)
def test_what_the_body_says(body: Any, told: str) -> None:
    assert error_of(500, body).message == f"the model server failed: status 500{told}"


def test_a_redirect_says_what_to_do() -> None:
    message = error_of(308).message
    assert message.endswith("status 308; redirects are not followed: check the URL of the model server")


@pytest.mark.parametrize("body", [{"error": {"message": "the key sk-4711 is wrong"}}, b"no sk-4711 here"])
def test_the_key_is_not_repeated(body: Any) -> None:
    error = error_of(401, body)
    assert "***" in error.message
    assert "4711" not in f"{error!r} {error} {error.body!r} {error.details!r}"


class TestWait:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("headers", "wait"),
        [
            ({}, None),
            ({"retry_after": "7"}, 7.0),
            ({"retry_after": "0"}, 0.0),
            ({"retry_after": "2.5"}, 2.5),
            ({"retry_after_ms": "1500", "retry_after": "7"}, 1.5),
            ({"retry_after_ms": "soon", "retry_after": "7"}, 7.0),
            ({"retry_after": "-5"}, None),
            ({"retry_after": "nan"}, None),
            ({"retry_after": "inf"}, None),
            ({"retry_after": "soon"}, None),
            ({"retry_after": "Fri, 01 May 2026 10:00:07 GMT", "date": "Fri, 01 May 2026 10:00:00 GMT"}, 7.0),
            ({"retry_after": "Fri, 01 May 2026 10:00:00 GMT", "date": "Fri, 01 May 2026 10:00:07 GMT"}, 0.0),
            ({"retry_after": "Fri, 01 May 2026 10:00:07 GMT"}, None),
            ({"retry_after": "Fri, 01 May 2026 10:00:07 GMT", "date": "today"}, None),
            ({"retry_after": "Fri, 01 May 2026 10:00:07 -0000", "date": "Fri, 01 May 2026 10:00:00 GMT"}, None),
        ],
    )
    def test_the_wait_of_a_refusal(self, status: int, headers: dict[str, str], wait: float | None) -> None:
        assert error_of(status, **headers).retry_after == wait

    def test_no_other_status_has_one(self) -> None:
        assert error_of(500, retry_after="7").retry_after is None


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (model_unreachable("refused"), 503, "MODEL_UNREACHABLE"),
        (model_timed_out("silent"), 504, "MODEL_TIMED_OUT"),
        (model_stream_cut("lost"), 502, "MODEL_STREAM_CUT"),
        (model_protocol_error("odd"), 502, "MODEL_PROTOCOL_ERROR"),
    ],
)
def test_faults_without_a_status(error: ServerError, status: int, code: str) -> None:
    assert (error.status_code, error.code) == (status, code)
    assert error.message.startswith("the model server")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (ConnectFailed("why"), 503, "MODEL_UNREACHABLE"),
        (TimedOut("why", request_sent=False), 503, "MODEL_UNREACHABLE"),
        (TimedOut("why", request_sent=True), 504, "MODEL_TIMED_OUT"),
        (ConnectionLost("why"), 502, "MODEL_STREAM_CUT"),
        (RemoteProtocolError("why"), 502, "MODEL_STREAM_CUT"),
    ],
)
def test_a_fault_of_the_connection(fault: HestiaError, status: int, code: str) -> None:
    error = model_fault(fault)
    assert (error.status_code, error.code) == (status, code)
    assert error.message.endswith(": why")

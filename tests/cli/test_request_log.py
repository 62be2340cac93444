"""What a served platform tells of each request."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_cli._request_log import LoggingPlatform, json_line, text_line
from hestiaos_local import Policy
from hestiaos_proto import GovernanceBlock, ServerRequest, StatusError
from tests.support.policies import BLOCK, SECRET, policy


def record_of(
    call: ServerRequest, *, read: int | None = None, key: str | None = None, policy: Policy | None = None
) -> dict[str, Any]:
    """What is logged of a call, whose stream is closed after `read` events."""
    records: list[dict[str, Any]] = []
    with LoggingPlatform(records.append, policy=policy) as platform:
        response: Any = platform.respond(call, key=key)
        if read is not None:
            for _ in range(read):
                next(response)
            response.close()
    (record,) = records
    return record


def run(text: str, operation: str = "run") -> ServerRequest:
    arguments = {"input": text, "session_id": None, "agent_id": None, "mode_hint": None, "timeout_ms": 1000}
    return ServerRequest(operation, arguments, {})


@pytest.mark.parametrize(("text", "status", "decision"), [("x", 200, "ALLOW"), ("rm -rf /", 403, "BLOCK")])
def test_a_run(text: str, status: int, decision: str) -> None:
    record = record_of(run(text))
    assert (record["operation"], record["status"], record["decision"]) == ("run", status, decision)
    assert record["trace_id"]


@pytest.mark.parametrize(("read", "outcome"), [(1, "cut"), (5, "completed")])
def test_a_stream_that_is_left_or_read(read: int, outcome: str) -> None:
    assert record_of(run("a b", "run_stream"), read=read)["outcome"] == outcome


def test_a_stream_whose_output_is_blocked() -> None:
    record = record_of(run(f"a {SECRET}", "run_stream"), read=5, policy=policy(BLOCK))
    assert (record["decision"], record["outcome"]) == ("ALLOW", "blocked")


@pytest.mark.parametrize(
    ("refusal", "decision"),
    [(StatusError("this origin is not allowed", status_code=403), None), (GovernanceBlock("t"), "BLOCK")],
)
def test_a_refusal_is_a_block_only_where_governance_refuses(refusal: StatusError, decision: str | None) -> None:
    record = record_of(ServerRequest("", {}, {}, refusal))
    assert (record["status"], record["decision"]) == (403, decision)


def test_a_line_for_people_and_one_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    record = record_of(ServerRequest("", {}, {}, StatusError("no", status_code=403)))
    text_line(record)
    json_line(record)
    line, as_json = capsys.readouterr().err.splitlines()
    assert " - 403 " in line
    assert '"status": 403' in as_json


@pytest.mark.parametrize(("operation", "read"), [("run", None), ("run_stream", 5)])
def test_the_name_of_the_key(operation: str, read: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    record = record_of(run("x", operation), read=read, key="ci")
    assert record["key"] == "ci"
    text_line(record)
    assert f" {operation} by ci " in capsys.readouterr().err
    assert "key" not in record_of(run("x"))

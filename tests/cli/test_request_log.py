"""The lines of the log of requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hestiaos_cli._request_log import json_line, text_line
from hestiaos_local import ServedRequest


def served(**fields: Any) -> ServedRequest:
    return ServedRequest(**{"method": "POST", "path": "/api/v1/run", "status": 200, "seconds": 0.0125} | fields)


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (served(), "POST /api/v1/run 200 12.5 ms"),
        (served(decision="ALLOW", outcome="completed", trace_id="t"), "POST /api/v1/run 200 ALLOW 12.5 ms trace t"),
        (served(key="ci\n", status=429, decision="THROTTLE", outcome="blocked"), "… 429 THROTTLE 12.5 ms by ci"),
        (served(decision="ALLOW", outcome="cancelled"), "… 200 ALLOW cancelled 12.5 ms"),
        (served(decision="ALLOW", outcome="blocked"), "… 200 ALLOW blocked 12.5 ms"),
        (served(decision="BLOCK", outcome="blocked"), "… 200 BLOCK 12.5 ms"),
        (served(status=504, decision="ALLOW", outcome="failed"), "… 504 ALLOW 12.5 ms"),
        (served(status=None, decision="ALLOW", outcome="cancelled"), "… - ALLOW cancelled 12.5 ms"),
        (served(decision="ALLOW", outcome="completed", repeated=True), "… 200 ALLOW repeat 12.5 ms"),
        (served(method="", path="", status=400), "- - 400 12.5 ms"),
    ],
)
def test_a_line_for_people(request_: ServedRequest, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    text_line(request_)
    _, _, told = capsys.readouterr().err.partition(" ")
    assert told == line.replace("…", "POST /api/v1/run") + "\n"


def test_a_line_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    json_line(served())
    json_line(served(operation="run", key="ci", decision="ALLOW", outcome="completed", trace_id="t", repeated=True))
    least, whole = map(json.loads, capsys.readouterr().err.splitlines())
    assert least.pop("time").endswith("+00:00")
    assert least == {"method": "POST", "path": "/api/v1/run", "status": 200, "duration_ms": 12.5}
    known = {
        "operation": "run",
        "key": "ci",
        "decision": "ALLOW",
        "outcome": "completed",
        "trace_id": "t",
        "repeated": True,
    }
    assert whole.items() >= known.items()

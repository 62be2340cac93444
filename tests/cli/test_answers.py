"""Standard output is the answer alone; everything else is on standard error."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.command_line import invoke, shell
from tests.support.peer import Peer
from tests.support.scripted_answers import serve_once
from tests.support.steps import send
from tests.support.wire import DONE, START, TOKEN, event, stream

pytestmark = pytest.mark.usefixtures("home")


def test_a_run_prints_its_result() -> None:
    assert invoke("--local", "run", "create a report") == (0, "processed: create a report\n", "")


def test_a_result_that_ends_its_line_is_not_given_another() -> None:
    assert invoke("--local", "run", "two\nlines\n").stdout == "processed: two\nlines\n"


@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_what_governance_decided_is_a_remark(stream: list[str]) -> None:
    done = invoke("--local", "run", "x", "-v", *stream)
    assert done.stdout == "processed: x\n"
    request, *_, decided, echo = done.stderr.splitlines()
    assert request.startswith(f"> POST /api/v1/run{'/stream' if stream else ''}, to the embedded platform (")
    assert decided.startswith("ALLOW · ")
    assert "the input is echoed" in echo


def test_what_a_server_says_of_another_type_is_a_remark() -> None:
    final = {"type": "final", "data": {"mode": 7, "result": "hello", "trace_id": ["a23c"]}}
    with Peer([send(stream(*map(event, (START, TOKEN, final, DONE))))]) as peer:
        done = invoke("run", "x", "--stream", "-v", "-u", f"http://{peer.authority}")
    assert done.status == 0
    assert done.stderr.splitlines()[-1] == "7 · trace ['a23c']"


def test_json_is_one_document() -> None:
    assert invoke("--local", "run", "x", "--json").json["mode"] == "ALLOW"


def test_a_failure_is_a_json_document_too() -> None:
    done = invoke("--local", "run", "rm -rf /", "--json", "--exit-codes")
    error = json.loads(done.stderr)["error"]
    assert done.stdout == ""
    assert error.keys() == {"code", "message", "trace_id", "details", "exit_status"}
    assert (error["code"], error["exit_status"], done.status) == ("GOVERNANCE_BLOCK", 3, 3)
    assert error["details"]["rule"] == "destructive-shell"


def test_a_mistake_is_a_json_document_too() -> None:
    done = invoke("health", "--json", "--nonsense")
    assert json.loads(done.stderr)["error"]["exit_status"] == done.status == 2


@pytest.mark.parametrize("stream", [[], ["--stream"]])
@pytest.mark.parametrize(("field", "shown"), [("result", "processed: x\n"), ("budget", "1.0\n")])
def test_one_field(stream: list[str], field: str, shown: str) -> None:
    assert invoke("--local", "run", "x", "-q", field, *stream) == (0, shown, "")


def test_a_field_inside_another() -> None:
    done = invoke("--local", "governance", "explain", "RUN", "text=rm -rf /", "-q", "violations.0.rule")
    assert done.stdout == "destructive-shell\n"


def test_a_field_that_is_not_there() -> None:
    assert "no field 'nothing'; there are: result, trace_id" in invoke("--local", "run", "x", "-q", "nothing").error


def test_numbers_are_rounded_for_people_and_exact_in_json() -> None:
    shown = dict(line.split(": ") for line in invoke("--local", "system", "metrics").stdout.splitlines())
    assert all(len(number) <= 10 for number in shown.values())
    assert isinstance(invoke("--local", "system", "metrics", "--json").json["memory_percent"], float)


def test_a_list_of_objects_is_shown_line_by_line() -> None:
    lines = invoke("--local", "governance", "explain", "RUN", "text=rm -rf /").stdout.splitlines()
    assert "violations:" in lines
    assert "- rule: destructive-shell" in lines
    assert "  decision: BLOCK" in lines


EVIL = "\x1b]2;pwned\x07 \x9b31m \x7f \u202e \r"


def test_bytes_pass_a_pipe_unchanged() -> None:
    assert invoke("--local", "run", EVIL).stdout == f"processed: {EVIL}\n"
    piped = shell(r"printf '\033[31mred\033[0m\n\n' | hestiaos --local run -")
    assert piped.stdout == "processed: \x1b[31mred\x1b[0m\n"


def test_an_error_is_one_line_without_control_characters() -> None:
    body = json.dumps({"message": f"one\ntwo{EVIL}"}).encode()
    line = invoke("trace", "x", "-u", serve_once(b"404 Not Found", b"application/json", body)).error
    assert "one two\\u001b]2;pwned\\u0007" in line
    assert line.isprintable()


def test_a_surrogate_pair_over_two_tokens_is_one_character(serve_streams: Callable[[list[str]], str]) -> None:
    url = serve_streams(["smile ", "\ud83d", "\ude00", " \ud800"])
    assert invoke("run", "x", "--stream", "-u", url).stdout == "smile \U0001f600 \\ud800\n"


@pytest.fixture
def serve_streams() -> Callable[[list[str]], str]:
    """Serves one stream of the given tokens."""

    def serve(tokens: list[str]) -> str:
        events = [{"type": "start"}, *({"type": "token", "data": {"text": each}} for each in tokens)]
        events += [{"type": "final", "data": {}}, {"type": "done"}]
        body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
        return serve_once(b"200 OK", b"text/event-stream", body)

    return serve

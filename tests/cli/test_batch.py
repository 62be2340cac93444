"""Batches: what goes in, what comes out, and one interruption at a time; `test_interrupted_batches` has the storms."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Thread

import pytest

from hestiaos_cli._batch import ResultFile
from tests.support.batches import assert_complete, executed, records, write_inputs
from tests.support.command_line import PROGRAM, invoke

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.skipif(os.name != "posix", reason="it uses signals")]


def test_texts(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"\xef\xbb\xbfone\r\n\n  two\nupdate all users\nrm -rf /\nlast")
    done = invoke("--local", "batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    assert (done.status, done.stdout) == (0, "")
    assert done.stderr.endswith("3 ALLOW, 1 BLOCK, 1 THROTTLE\n")
    found = records(tmp_path / "out")
    assert [record["input"] for record in found] == ["one", "  two", "update all users", "rm -rf /", "last"]
    assert found[0]["result"] == "processed: one"
    assert found[3]["error"]["code"] == "GOVERNANCE_BLOCK"
    assert "output" not in found[0]


def test_json_lines_from_a_pipe_into_a_pipe() -> None:
    lines = [{"input": "a\nb", "id": 7, "note": "x"}, {"input": "c", "mode_hint": "fast", "session_id": "s"}]
    done = invoke("--local", "batch", stdin="\n".join(map(json.dumps, lines)).encode())
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["id"], first["result"]) == (7, "processed: a\nb")
    assert second["budget"] == 0.25


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (b"one\n\xff\n", "line 2: byte 1 is not UTF-8"),
        (b'{"input": "a"}\n\nb\n', "line 3 is not JSON"),
        (b'{"input": "a"}\n{"inputs": "b"}\n', "line 2 must be an object"),
        (b'{"input": "a", "timeout_ms": "b"}\n', "timeout_ms must be a number"),
        (b'{"input": "a", "timeout_ms": true}\n', "timeout_ms must be a number"),
        (b'{"input": "a", "id": NaN}\n', "line 1 is not JSON"),
        (b'{"input": "a"}\n{"input": "a", "id": [1e999]}\n', "line 2 is not JSON"),
    ],
)
def test_inputs_that_cannot_be_read_are_reported_before_any_is_run(lines: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(lines)
    done = invoke("--local", "batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    assert done.status == 2
    assert told in done.error
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_not_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a\n")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        assert "is not a regular file" in invoke("--local", "batch", str(tmp_path / "in"), "-o", str(path)).error


def test_an_output_that_is_a_link_stays_one(tmp_path: Path) -> None:
    """The file is sorted in its place, where the link points to."""
    (tmp_path / "in").write_text("a\nb\n")
    (tmp_path / "link").symlink_to("out")
    arguments = ["--local", "batch", str(tmp_path / "in"), "-o", str(tmp_path / "link")]
    assert invoke(*arguments).status == 0
    first, second = (tmp_path / "out").read_text().splitlines(keepends=True)
    (tmp_path / "out").write_text(second + first)
    assert invoke(*arguments).status == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "out").read_text() == first + second


@pytest.mark.parametrize("number", [0, 10**12, 10**30])
def test_a_file_of_results_with_a_number_that_no_batch_has(number: int, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a\n")
    (tmp_path / "out").write_text(json.dumps({"number": number, "input": "a", "mode": "ALLOW"}) + "\n")
    done = invoke("--local", "batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    assert "is not a file of a batch's results" in done.error


def test_a_failed_input_is_reported_and_run_again_on_request(tmp_path: Path, server_url: str) -> None:
    (tmp_path / "in").write_text('{"input": "a"}\n{"input": " "}\n{"input": "c"}\n')
    arguments = ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-u", server_url]
    done = invoke(*arguments)
    assert done.status == 1
    assert "--retry-failed" in done.stderr
    assert [("error" in record) for record in records(tmp_path / "out")] == [False, True, False]
    again = invoke(*arguments)
    assert again.status == 1
    assert again.stderr == done.stderr
    before = records(tmp_path / "out")
    assert invoke(*arguments, "--retry-failed").status == 1
    assert records(tmp_path / "out") == before  # and in its place


def test_the_first_failure_ends_it_when_asked(tmp_path: Path) -> None:
    (tmp_path / "in").write_text('{"input": " "}\n' + '{"input": "a"}\n' * 100)
    done = invoke("--local", "batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--fail-fast", "-n", "1")
    assert done.status == 1
    assert "the same command goes on" in done.stderr
    assert len(records(tmp_path / "out")) < 5


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("notes\n", "not a file of a batch's results"),
        ('{"number": 1}\n', "not a file of a batch's results"),
        ('{"number": 1, "input": "another", "mode": "ALLOW"}\n', "input 1 is not the one"),
    ],
)
def test_a_file_that_is_not_this_batchs(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text(content)
    done = invoke("--local", "batch", str(write_inputs(tmp_path, 3)), "-o", str(tmp_path / "out"))
    assert done.status == 1
    assert told in done.stderr
    assert (tmp_path / "out").read_text() == content
    assert not (tmp_path / "out.batch").exists()


@pytest.mark.parametrize("complete", [True, False])
def test_a_companion_that_somebody_has_removed(complete: bool, tmp_path: Path) -> None:
    with ResultFile(tmp_path / "out") as results:
        (tmp_path / "out.batch").unlink()
        if complete:
            results.complete()
    assert (tmp_path / "out").read_bytes() == b""


def test_results_in_a_folder_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "no" / "out"
    done = invoke("--local", "batch", str(write_inputs(tmp_path, 3)), "-o", str(path))
    assert done.status == 1
    assert f"there is no folder {path.parent} for the results" in done.error


def test_the_inputs_are_not_written_over(tmp_path: Path) -> None:
    path = write_inputs(tmp_path, 3)
    assert "file of the inputs" in invoke("--local", "batch", str(path), "-o", str(path)).error


def test_a_server_that_is_gone_is_not_asked_for_each_input(tmp_path: Path) -> None:
    done = invoke(
        *("batch", str(write_inputs(tmp_path, 1000)), "-o", str(tmp_path / "out"), "-u", ":1", "--retries", "0")
    )
    assert done.status == 1
    assert "CONNECT_FAILED" in done.stderr
    assert records(tmp_path / "out") == []
    assert (tmp_path / "out.batch").exists()  # a request may have arrived: its key must stay the same


def test_a_torn_line_is_written_again(tmp_path: Path, server_url: str) -> None:
    output = tmp_path / "out"
    output.write_bytes(
        b'{"number": 1, "input": "text 1", "mode": "ALLOW", "result": "processed: text 1"}\n{"number": 2, "in'
    )
    done = invoke("batch", str(write_inputs(tmp_path, 3)), "-o", str(output), "-u", server_url)
    assert done.status == 0
    assert_complete(output, 3)
    assert executed(server_url) == 2


class Slow(BaseHTTPRequestHandler):
    """A server whose model takes a while for each input, and longer for some. The first four wait for each other."""

    protocol_version = "HTTP/1.1"
    seconds = 0.1
    together: Barrier

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["input"] in {f"text {number}" for number in range(1, 5)}:
            self.together.wait(50)
        time.sleep(self.seconds * (3 if body["input"].endswith("5") else 1))
        result = {
            "result": f"processed: {body['input']}",
            "trace_id": "t",
            "mode": "ALLOW",
            "budget": 1,
            "latency_ms": 1,
        }
        data = json.dumps(result).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def slow_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Four", (Slow,), {"together": Barrier(4)}))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_ctrl_c_waits_for_what_is_under_way(tmp_path: Path, slow_server: str) -> None:
    """So that a server that knows no idempotency keys does nothing twice either."""
    output = tmp_path / "out"
    arguments = [
        str(PROGRAM),
        "batch",
        str(write_inputs(tmp_path, 100)),
        "-o",
        str(output),
        "-u",
        slow_server,
        "-n",
        "4",
    ]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        while not output.exists() or not output.stat().st_size:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait(60) == -signal.SIGINT
    found = [record["number"] for record in records(output)]
    assert 4 <= len(found) < 100
    assert sorted(found) == list(range(1, len(found) + 1))
    assert "Ctrl-C again does not wait" in told
    assert re.search(
        rf"^{len(found)} inputs done in .*: {len(found)} ALLOW; the same command goes on$", told, re.MULTILINE
    )
    assert "Traceback" not in told


def test_two_batches_do_not_write_to_one_file(tmp_path: Path, slow_server: str) -> None:
    arguments = ["batch", str(write_inputs(tmp_path, 100)), "-o", str(tmp_path / "out"), "-u", slow_server]
    with subprocess.Popen([PROGRAM, *arguments], stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "out").exists() or not (tmp_path / "out").stat().st_size:  # it is locked by then
            time.sleep(0.01)
        told = invoke(*arguments).error
        process.kill()
    assert "another batch writes to" in told


def test_the_summary_as_json(tmp_path: Path) -> None:
    done = invoke("--local", "batch", str(write_inputs(tmp_path, 3)), "-o", str(tmp_path / "out"), "--json")
    assert done.json["decisions"] == {"ALLOW": 3}

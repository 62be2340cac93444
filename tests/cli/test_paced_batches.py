"""Batches whose server refuses requests: one pause for all of them, which Ctrl-C ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Barrier, Condition, Event, Thread

import pytest

from tests.support.batches import assert_complete, records, write_inputs
from tests.support.command_line import PROGRAM, invoke

pytestmark = pytest.mark.usefixtures("home")

PATIENCE = 50.0  # seconds
Refusal = tuple[int, str]  # the status and the Retry-After


@contextmanager
def served(answer: Callable[[int, str], Refusal | None]) -> Iterator[str]:
    """A server that asks for each request, by its number and its text, how it is refused; `None` for not at all."""
    numbers = count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            refusal = answer(next(numbers), text)
            result = {"result": f"processed: {text}", "trace_id": "t", "mode": "ALLOW", "budget": 1, "latency_ms": 1}
            data = json.dumps({"code": "REFUSED", "message": "no"} if refusal else result).encode()
            self.send_response(refusal[0] if refusal else 200)
            if refusal:
                self.send_header("Retry-After", refusal[1])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("status", [429, 503])
def test_what_is_refused_is_repeated(status: int, tmp_path: Path) -> None:
    with served(lambda number, text: (status, "0") if number % 2 else None) as url:
        done = invoke("batch", str(write_inputs(tmp_path, 5)), "-o", str(tmp_path / "out"), "-u", url, "-n", "1")
    assert done.status == 0
    assert_complete(tmp_path / "out", 5)


@pytest.mark.parametrize(("wait", "kept"), [("0", 0), ("61", 3)])
def test_nothing_but_refusals_end_the_batch(wait: str, kept: int, tmp_path: Path) -> None:
    """What is asked to wait longer than a minute has failed, up to the fourth in a row."""
    texts = []

    def refuse(number: int, text: str) -> Refusal:
        texts.append(text)
        return 429, wait

    arguments = ["batch", str(write_inputs(tmp_path, 100)), "-o", str(tmp_path / "out"), "-n", "1"]
    with served(refuse) as url:
        done = invoke(*arguments, "-u", url)
    assert done.status == 1
    assert done.stderr.splitlines()[-1].startswith("Error: [REFUSED] no (the server asks to wait")
    assert len(texts) == 4
    assert [record["error"]["code"] for record in records(tmp_path / "out")] == ["REFUSED"] * kept


def test_an_input_is_repeated_as_long_as_others_are_accepted(tmp_path: Path) -> None:
    """So that none fails where the limit lets others pass. Between two refusals of the first, another is accepted."""
    arrived: list[str] = []
    changed = Condition()

    def refuse(number: int, text: str) -> Refusal | None:
        with changed:
            arrived.append(text)
            changed.notify_all()
            refused = arrived.count("text 1")
            if text != "text 1":  # answered when the refusal before it has been read
                changed.wait_for(lambda: arrived.count("text 1") >= int(text[-1]))
            elif 1 < refused < 4:  # and this one when that answer has been read
                changed.wait_for(lambda: f"text {refused + 1}" in arrived)
            return (429, "0") if text == "text 1" and refused < 4 else None

    arguments = ["batch", str(write_inputs(tmp_path, 4)), "-o", str(tmp_path / "out"), "-n", "2", "--retries", "1"]
    with served(refuse) as url:
        done = invoke(*arguments, "-u", url)
    assert done.status == 0
    assert_complete(tmp_path / "out", 4)
    assert arrived.count("text 1") == 4


def test_an_input_fails_where_its_wait_is_too_long(tmp_path: Path) -> None:
    with served(lambda number, text: (429, "61") if text == "text 2" else None) as url:
        done = invoke("batch", str(write_inputs(tmp_path, 3)), "-o", str(tmp_path / "out"), "-u", url, "-n", "1")
    assert done.status == 1
    assert [("error" in record) for record in records(tmp_path / "out")] == [False, True, False]


def test_retries_and_their_waits_are_shown_when_asked(tmp_path: Path) -> None:
    arguments = ["batch", str(write_inputs(tmp_path, 1)), "-o", str(tmp_path / "out")]
    with served(lambda number, text: (429, "0")) as url:
        done = invoke(*arguments, "-u", url, "-v", "--retries", "1")
    assert done.stderr.count("all requests wait 0.0 s") == 1


@pytest.mark.skipif(os.name != "posix", reason="it uses signals")
def test_all_wait_and_ctrl_c_ends_the_wait(tmp_path: Path) -> None:
    """One input is refused for a minute; the request beside it is answered later, and nothing else is sent."""
    both, told, answered = Barrier(2), Event(), Event()
    texts = []

    def refuse(number: int, text: str) -> Refusal | None:
        texts.append(text)
        if number <= 2:
            both.wait(PATIENCE)  # else the second worker may begin after the refusal, and send nothing
        if text == "text 1":
            return 429, "60"
        told.wait(PATIENCE)
        answered.set()
        return None

    output = tmp_path / "out"
    arguments = [PROGRAM, "batch", str(write_inputs(tmp_path, 100)), "-o", str(output), "-n", "2", "-v"]
    with (
        served(refuse) as url,
        subprocess.Popen([*arguments, "-u", url], stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            if "all requests wait 60.0 s" in line:
                break
        told.set()
        assert answered.wait(PATIENCE)
        time.sleep(0.3)  # a batch that does not wait sends the next one meanwhile
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == -signal.SIGINT
    assert texts == ["text 1", "text 2"] or texts == ["text 2", "text 1"]
    assert [record["number"] for record in records(output)] == [2]
    assert "1 inputs done" in rest


@pytest.mark.skipif(os.name != "posix", reason="it uses signals")
def test_ctrl_c_ends_the_wait_for_a_pipe_that_stays_silent(tmp_path: Path) -> None:
    """What was read before has its results."""
    texts: list[str] = []
    arrived = Event()

    def note(number: int, text: str) -> None:
        texts.append(text)
        if len(texts) == 2:
            arrived.set()

    output = tmp_path / "out"
    with (
        served(note) as url,
        subprocess.Popen(
            [PROGRAM, "batch", "-o", str(output), "-u", url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(b"text 1\ntext 2\n")
        process.stdin.flush()
        assert arrived.wait(60)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
    assert [record["number"] for record in records(output)] == [1, 2]

"""The programs of examples/embedding, each run as it is against a real server, or, the server, by a real client."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hestiaos import Client, NotFound
from tests.support.broad import broadly

HERE = Path(__file__).parent.parent / "examples" / "embedding"
PROGRAMS = sorted(path.name for path in HERE.glob("*.py"))
STREAM = ["start", "token", "final", "done"]


def run(*command: str) -> list[str]:
    """The lines that a program prints; it may print nothing as an error, nor leave anything open."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, complaints(ended.stderr)) == (0, "")
    return ended.stdout.splitlines()


def complaints(stderr: str) -> str:
    """Without what asyncio says of a slow machine in Python's development mode."""
    return re.sub(r"^Executing <.*> took [\d.]+ seconds\n", "", stderr, flags=re.MULTILINE)


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-X", "dev", "-W", "error", str(HERE / program), *arguments]


def steps(lines: list[str], name: str = "") -> list[str]:
    """What one stream printed, without the data, and with its tokens as one."""
    words = [line.removeprefix(name).split()[0] for line in lines if line.startswith(name)]
    return [word for i, word in enumerate(words) if word != "token" or words[i - 1] != "token"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_example_is_under_60_lines(program: str) -> None:
    assert len((HERE / program).read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("program", broadly(PROGRAMS))
def test_each_example_prints_its_usage(program: str) -> None:
    if program == "tkinter_window.py":
        pytest.importorskip("tkinter", reason="this Python was built without tkinter")
    ended = subprocess.run(python(program), capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"\nUsage: python {program} " in ended.stderr


def test_every_example_is_run() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [program for program in PROGRAMS if f'python("{program}"' not in tests] == []


def test_selectors_loop(server_url: str) -> None:
    lines = run(*python("selectors_loop.py", server_url))
    for name in ("first", "second", "third"):
        assert steps(lines, name) == [*STREAM, "ok"]
    assert any("report" in line for line in lines)


def test_asyncio_protocol(server_url: str) -> None:
    assert steps(run(*python("asyncio_protocol.py", server_url))) == [*STREAM, "ok"]


def test_blocking_thread(server_url: str) -> None:
    lines = run(*python("blocking_thread.py", server_url))
    for name in ("first", "second"):
        assert steps(lines, name) == [*STREAM, "is"]
        assert f"{name} is over" in lines


def test_trio_stream(server_url: str) -> None:
    lines = run(*python("trio_stream.py", server_url))
    for name in ("first", "second"):
        assert steps(lines, name) == [*STREAM, "ok"]


def test_tkinter_window(server_url: str) -> None:
    pytest.importorskip("tkinter", reason="this Python was built without tkinter")
    screen = [] if os.environ.get("DISPLAY") else ["xvfb-run", "-a"]
    if screen and shutil.which("xvfb-run") is None:
        pytest.skip("there is neither a DISPLAY nor xvfb-run for a virtual one")
    assert run(*screen, *python("tkinter_window.py", server_url, "--close")) == ["done processed: create a report"]


@pytest.fixture(scope="module")
def own_server() -> Iterator[str]:
    """The base URL of the program that is a server."""
    with subprocess.Popen(
        python("asyncio_server.py", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        try:
            yield server.stdout.readline().strip()
            assert server.poll() is None
        finally:
            server.terminate()
            stderr = server.stderr.read()
    assert complaints(stderr) == ""


def test_asyncio_server(own_server: str) -> None:
    with Client(own_server, retries=0) as client:
        assert client.run("report").result == "REPORT"
        with client.run_stream("report") as stream:
            assert [event.type for event in stream] == ["start", *["token"] * 6, "final", "done"]
        assert stream.text == "REPORT"
        assert client.secrets.get("greeting") == "hello"
        with pytest.raises(NotFound, match="there is no such secret"):
            client.secrets.get("unknown")
        with pytest.raises(NotFound, match="there is no system_status here"):
            client.system.status()
        with client.run_stream("a report that is not read to its end") as stream:
            assert next(stream).type == "start"
        assert client.run("again").result == "AGAIN"


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"garbage\r\n\r\n", b"400"), (b"GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"404")],
    ids=["garbage", "an unknown path"],
)
def test_refusals_of_asyncio_server(own_server: str, data: bytes, status: bytes) -> None:
    url = urlsplit(own_server)
    with socket.create_connection((url.hostname, url.port), timeout=30) as sock:
        sock.sendall(data)
        assert b"".join(iter(lambda: sock.recv(65536), b"")).startswith(b"HTTP/1.1 " + status)
    with Client(own_server, retries=0) as client:
        assert client.run("next").result == "NEXT"


def test_asyncio_server_asks_for_a_body_that_waits_for_100_continue(own_server: str) -> None:
    url = urlsplit(own_server)
    head = b"POST /api/v1/run HTTP/1.1\r\nHost: h\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=30) as sock:
        sock.sendall(head)
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'{"input":"x"}')
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")

"""The README's examples, run as they stand there; only the address of the server is replaced."""

from __future__ import annotations

import ast
import inspect
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from hestiaos_proto import ClientConnection, SystemStatus, operations

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def example(beginning: str) -> str:
    """The one example that contains this."""
    (found,) = (code for code in EXAMPLES if beginning in code)
    assert isinstance(found, str)
    return found


def run(code: str, **names: Any) -> dict[str, Any]:
    compiled = compile(code, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:

        async def main() -> None:
            await eval(compiled, names)

        anyio.run(main)
    else:
        exec(compiled, names)
    return names


def test_the_clients(server_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(example("async with AsyncClient").replace("http://localhost:8000", server_url))
    monkeypatch.setenv("HESTIAOS_BASE_URL", server_url)
    names = run(example("with Client() as client"))
    assert names["stream"].text == "processed: create a report"
    printed = capsys.readouterr().out
    assert printed.count("[done] {}") == 2


def test_the_embedded_platform() -> None:
    run(example("LocalTransport(platform)"))


def test_a_stream_decoded_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    run(example("stream = RunStream()"))
    assert capsys.readouterr().out == "start\n"


def run_over_a_socket(code: str, url: str) -> dict[str, Any]:
    """As `run`, with a `sock` that is connected to the server at this URL."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=30) as sock:
        return run(code.replace("http://localhost:8000", url), sock=sock)


def test_a_client_made_by_hand(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_over_a_socket(example('ClientConnection("http'), server_url)
    assert isinstance(names["connection"].result, SystemStatus)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed if not line.startswith("token ")][:3] == ["start", "final", "done"]
    assert printed[-1] == str(names["connection"].result)


def test_a_call_made_by_hand(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_over_a_socket(example("steps = call_flow("), server_url)
    assert capsys.readouterr().out == "processed: create a report\n"
    assert names["connection"].reusable


def test_a_server_made_by_hand() -> None:
    # Nothing but its success is told of a deletion, so that even the dots of the example are an answer.
    client = ClientConnection()
    names = run(example("connection = ServerConnection()"), data=client.send(operations.delete_secret("k")))
    assert (names["call"].operation, names["call"].arguments) == ("delete_secret", {"key": "k"})
    client.receive_data(names["out"])
    assert client.finished
    assert client.result is None


def test_every_example_is_run() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    beginnings = re.findall(r"\bexample\((\"[^\"]+\"|'[^']+')\)", tests)
    assert sorted(example(ast.literal_eval(beginning)) for beginning in beginnings) == sorted(EXAMPLES)


def test_every_program_that_it_lists_is_there() -> None:
    listed = set(re.findall(r"`tests/embedding/(\w+\.py)`", README))
    there = {path.name for path in (Path(__file__).parent / "embedding").glob("*.py")}
    assert listed == there - {"test_programs.py"}

"""The README's examples, run as they stand there; only the address of the server is replaced."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from hestiaos_proto import StatusError

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


def test_a_server_made_by_hand() -> None:
    request = b"GET /api/v1/trace/unknown HTTP/1.1\r\nHost: localhost\r\n\r\n"
    names = run(example("connection = ServerConnection()"), data=request, result=StatusError(status_code=404))
    assert names["out"].startswith(b"HTTP/1.1 404 ")
    assert names["call"].arguments == {"trace_id": "unknown"}

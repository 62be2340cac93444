"""README.md and the pages of docs/: their blocks of code, and how each kind of block is run as it is printed.

A page's blocks are run in their order, in one folder, and Python blocks share their names. A block whose first line is
`# name.ext` is a file of that name. An `output` block is what the block before it prints, `…` standing for any text.
Two things are replaced: the address of the server, and the port and the key `…` of a server that a block starts.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
WALK = ROOT / "docs" / "guides" / "models.md"
"""The page whose blocks need a model server and the openai client: tests/models runs it."""

_FENCE = re.compile(r"^(`{3,})([^\n]*)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"# ([\w.]+\.\w+)\n")
_SERVE = re.compile(r"^.*\b(?:hestiaos serve|uvicorn hestiaos_local\.asgi:app)\b.*$", re.MULTILINE)
_SERVED = re.compile(r"HestiaOS is served at http://\S+;|Application startup complete")


class Block(NamedTuple):
    """A fenced block of a page: its language, its text, and the line at which it begins."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, the directives of the documentation tool left out."""
    source = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(source):
        language = found[2].strip()
        if not language.startswith("{"):
            yield Block(language, found[3], source.count("\n", 0, found.start()) + 1)


class Runner:
    """Runs the blocks of one page in `folder`, against the server at `url`."""

    def __init__(self, page: Path, folder: Path, url: str) -> None:
        self._page = page
        self._folder = folder
        self._url = url
        self._names: dict[str, object] = {"__name__": "__main__"}
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / "pytest.ini").write_text("[pytest]\n")  # or pytest reads the options of a checkout that it is in

    def run(self, block: Block, *, may_fail: bool) -> str:
        """What the block prints. A command that fails is an `AssertionError`, unless it may."""
        if (name := FILE_NAME.match(block.text)) is not None:
            (self._folder / name[1]).write_text(block.text, encoding="utf-8")
            return ""
        address = urlsplit(self._url)
        text = block.text.replace("http://localhost:8000", self._url)
        text = text.replace('("localhost", 8000)', repr((address.hostname, address.port)))
        return self._python(text, block.line) if block.language == "python" else self._shell(text, may_fail)

    def _python(self, text: str, line: int) -> str:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compiled = compile("\n" * line + text, str(self._page), "exec", flags=flags)
        with redirect_stdout(StringIO()) as printed:
            if compiled.co_flags & inspect.CO_COROUTINE:

                async def main() -> None:
                    await eval(compiled, self._names)

                anyio.run(main)
            else:
                exec(compiled, self._names)
        return printed.getvalue()

    def _shell(self, text: str, may_fail: bool) -> str:
        if _SERVE.search(text):
            return self._serve(_SERVE.sub(r"\g<0> --port 0", text).replace("KEY=… ", "KEY=key "))
        ended = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert ended.returncode == 0 or may_fail, ended.stdout
        return ended.stdout

    def _serve(self, text: str) -> str:
        """Run a server until it says that it serves, and stop it."""
        with subprocess.Popen(
            ["bash", "-eu", "-c", f"exec env {text}"], cwd=self._folder, stderr=subprocess.PIPE, text=True
        ) as server:
            assert server.stderr is not None
            try:
                lines = []
                for line in server.stderr:
                    lines.append(line)
                    if _SERVED.search(line):
                        break
            finally:
                server.terminate()
        assert lines, "it ended without a word"
        assert _SERVED.search(lines[-1]), "".join(lines)
        return lines[-1]


def matches(expected: str, printed: str) -> bool:
    """Whether `printed` is what an `output` block shows; white space at the end of a line does not count."""
    pattern = ".*?".join(re.escape(part) for part in _trimmed(expected).split("…"))
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())

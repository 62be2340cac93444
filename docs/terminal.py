"""Runs the README's commands and draws what a terminal shows as _static/terminal.svg.

Usage: python docs/terminal.py
"""

import os
import re
import subprocess
import sysconfig
import tempfile
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path

PICTURE = Path(__file__).parent / "_static" / "terminal.svg"
COLUMNS = 100
LINE, CHARACTER, MARGIN = 20, 8.43, 20  # in pixels
PROMPT = "$ "
_TRACE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]+){4}")


def transcript() -> Iterator[str]:
    """The lines of a session on the embedded platform, which remembers it in a folder of its own."""
    with tempfile.TemporaryDirectory() as home:
        yield from _session(home, 'hestiaos --local run "create a report"')
        blocked = list(_session(home, 'hestiaos --local run "rm -rf / --no-preserve-root"'))
        yield from blocked
        yield from _session(home, f"hestiaos --local trace {_TRACE_ID.findall(' '.join(blocked))[-1]}")


def _session(home: str, command: str) -> Iterator[str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    environ = os.environ | {"PATH": path, "XDG_CONFIG_HOME": home}
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, env=environ, check=False)
    yield PROMPT + command
    for line in (ended.stdout + ended.stderr).splitlines():
        yield from textwrap.wrap(line, COLUMNS, break_on_hyphens=False)
    yield ""


def draw(lines: list[str]) -> str:
    """The lines as a picture."""
    width, height = round(COLUMNS * CHARACTER) + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    texts, kind = "", "command"
    for number, line in enumerate(lines, 1):
        if not line or line.startswith(PROMPT):
            kind = "command"
        elif kind == "command":
            kind = "error" if line.startswith("Error") else "output"
        texts += f'<text class="{kind}" x="{MARGIN}" y="{MARGIN - 5 + number * LINE}">{escape(line)}</text>\n'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<style>
text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d0d4da; white-space: pre }}
.command {{ fill: #ffffff; font-weight: bold }}
.error {{ fill: #ff9c8f }}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#1e2127"/>
{texts}</svg>
"""


if __name__ == "__main__":
    PICTURE.write_text(draw(list(transcript())[:-1]), encoding="utf-8")

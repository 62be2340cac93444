"""Runs commands in a pseudo-terminal and draws what it shows as pictures in _static/.

Usage: python docs/terminal.py
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import sysconfig
import tempfile
import termios
import textwrap
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

from hestiaos_local.testing import ScriptedPlatform

STATIC = Path(__file__).parent / "_static"
PICTURE = STATIC / "terminal.svg"
COLUMNS = 100
LINE, CHARACTER, MARGIN = 20, 8.43, 20  # in pixels
PROMPT = "$ "
_TRACE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]+){4}")
_STYLE = re.compile("\x1b\\[([0-9;]*)m")
_OTHER = re.compile("\x1b\\[[?0-9;]*[A-Za-ln-z]")
_CLASSES = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow"}


class Session:
    """Commands of a user whose home directory is a new one, on a terminal of 100 columns."""

    def __init__(self, home: str) -> None:
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        dropped = ("HESTIAOS_", "XDG_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        self._environ |= {"PATH": path, "HOME": home, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

    def run(self, command: str, *typed: tuple[str, str]) -> Iterator[str]:
        """The prompt with the command, what the terminal shows of it, and an empty line.

        Each of `typed` is what ends the shown text, and what is typed then.
        """
        yield PROMPT + command
        shown = self._shown(command, list(typed))
        yield from shown if shown != [""] else []
        yield ""

    def _shown(self, command: str, typed: list[tuple[str, str]]) -> list[str]:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        process = subprocess.Popen(
            ["bash", "-c", command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._environ,
            preexec_fn=_own_terminal,
        )
        os.close(slave)
        shown = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # on Linux the end of a terminal
                break
            if not data:
                break
            shown += data
            if typed and _STYLE.sub("", shown.decode("utf-8", "replace")).endswith(typed[0][0]):
                time.sleep(0.2)
                os.write(master, typed.pop(0)[1].encode())
        process.wait()
        os.close(master)
        lines = _OTHER.sub("", shown.decode().replace("\r\n", "\n")).rstrip().split("\n")
        return [part for line in lines for frame in _frames(line) for part in _wrapped(frame)]


def _own_terminal() -> None:
    """Make the terminal that of a session of its own, so that Ctrl-C comes as a signal."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _frames(line: str) -> list[str]:
    """What is left of a line that was drawn over: one drawing from its middle, and the last one.

    What turns while a slow machine works is left out.
    """
    drawn = [frame for frame in line.split("\r") if frame not in "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "]
    return [drawn[len(drawn) // 2], drawn[-1]] if len(drawn) > 2 else drawn[-1:] or [""]


def _wrapped(line: str) -> list[str]:
    if len(_STYLE.sub("", line)) <= COLUMNS:
        return [line]
    return textwrap.wrap(line, COLUMNS, break_on_hyphens=False)


def transcript() -> Iterator[str]:
    """A session on the embedded platform: a run, a stream, a block, its trace."""
    with tempfile.TemporaryDirectory() as home:
        session = Session(home)
        yield from session.run('hestiaos --local run "create a report"')
        blocked = list(session.run('hestiaos --local run "rm -rf / --no-preserve-root"'))
        yield from blocked
        yield from session.run(f"hestiaos --local trace {_TRACE_ID.findall(' '.join(blocked))[-1]}")


def help_screen() -> Iterator[str]:
    """The help."""
    with tempfile.TemporaryDirectory() as home:
        yield from Session(home).run("hestiaos --help")


def streamed() -> Iterator[str]:
    """A stream, to people and to programs."""
    with tempfile.TemporaryDirectory() as home:
        session = Session(home)
        yield from session.run('hestiaos --local run --stream "create a report"')
        yield from session.run("""hestiaos --local run --stream --json hi | cut -c 1-40""")


def blocked() -> Iterator[str]:
    """A block, to people, to a script and to a program; what governance would say; and a mistake."""
    with tempfile.TemporaryDirectory() as home:
        session = Session(home)
        yield from session.run('hestiaos --local run "rm -rf / --no-preserve-root" --exit-codes; echo $?')
        yield from session.run('hestiaos --local run "rm -rf /" --json')
        yield from session.run('hestiaos --local run --explain "update all users"')
        yield from session.run("hestiaos run hello --base-url :1")


def batch() -> Iterator[str]:
    """A batch that is interrupted and resumed, and its last result."""
    with tempfile.TemporaryDirectory() as home:
        session = Session(home)
        yield from session.run('for i in {1..2000}; do echo "text $i"; done > ~/inputs.txt')
        command = "hestiaos --local batch ~/inputs.txt --output ~/results.jsonl"
        yield from session.run(command, ("left\x1b[K", "\x03"))
        yield from session.run(command)
        yield from session.run("tail -1 ~/results.jsonl | cut -c 1-60")


_ASKS = "\x1b[?2004h> "  # where a conversation waits for a line, which may be pasted


def chat() -> Iterator[str]:
    """A conversation, in which an answer is cancelled."""
    with tempfile.TemporaryDirectory() as home, ScriptedPlatform() as platform:
        platform.say("Good morning! What shall we write about?")
        platform.say("The sea. ", "It is ", "large, ", "and it ", hold_after=4)
        platform.say("Of course. The river: it is short, and it ends.")
        yield from Session(home).run(
            f"hestiaos chat --base-url {platform.url.removeprefix('http://127.0.0.1')}",
            (_ASKS, "good morning\n"),
            (_ASKS, "the sea, please\n"),
            ("and it ", "\x03"),
            (_ASKS, "the river instead\n"),
            (_ASKS, "\x04"),
        )


PICTURES: dict[str, Callable[[], Iterator[str]]] = {
    "terminal": transcript,
    "terminal-help": help_screen,
    "terminal-stream": streamed,
    "terminal-blocked": blocked,
    "terminal-batch": batch,
    "terminal-chat": chat,
}


def draw(lines: list[str]) -> str:
    """The lines as a picture."""
    width, height = round(COLUMNS * CHARACTER) + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    texts = ""
    for number, line in enumerate(lines, 1):
        kind = "command" if line.startswith(PROMPT) else "output"
        texts += f'<text class="{kind}" x="{MARGIN}" y="{MARGIN - 5 + number * LINE}">{_spans(line)}</text>\n'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<style>
text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d0d4da; white-space: pre }}
.command {{ fill: #ffffff; font-weight: bold }}
.bold {{ font-weight: bold }}
.dim {{ fill: #8b929c }}
.red {{ fill: #ff9c8f }}
.green {{ fill: #8fd694 }}
.yellow {{ fill: #e6c26a }}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#1e2127"/>
{texts}</svg>
"""


def _spans(line: str) -> str:
    """A line with its colours."""
    parts = _STYLE.split(line)
    spans = escape(parts[0])
    for code, text in zip(parts[1::2], parts[2::2], strict=True):
        spans += f'<tspan class="{_CLASSES[code]}">{escape(text)}</tspan>' if code in _CLASSES else escape(text)
    return spans


if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        drawn = list(PICTURES[name]())[:-1]
        (STATIC / f"{name}.svg").write_text(draw(drawn), encoding="utf-8")

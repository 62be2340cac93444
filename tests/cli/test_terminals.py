"""The installed program in a terminal: what a person sees, and Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broad import BROAD
from tests.support.command_line import PROGRAM, invoke

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

from tests.support.terminals import Terminal

pytestmark = [BROAD, pytest.mark.usefixtures("home")]

SHELLS = [pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=name)) for name in ("bash", "zsh")]


def terminal(*arguments: str, columns: int = 80, stdout: int | None = None, **env: str) -> Terminal:
    return Terminal([str(PROGRAM), *arguments], env=os.environ | env, columns=columns, stdout=stdout)


def test_control_characters_are_shown_and_never_obeyed() -> None:
    with terminal("--local", "run", "\x1b]2;pwned\x07 \x9b31m\u202e") as shown:
        assert shown.end() == 0
    text, remark, echo = shown.shown.splitlines()
    assert "hestiaos help models" in echo
    assert text == r"processed: \u001b]2;pwned\u0007 \u009b31m\u202e"
    assert re.fullmatch(r"\x1b\[2mALLOW · \S+ ms · trace [\w-]+\x1b\[0m", remark)


def test_json_on_a_terminal_is_json() -> None:
    with terminal("--local", "run", "\x9b\x7f", "--json") as shown:
        assert shown.end() == 0
    assert r'"processed: \u009b\u007f"' in shown.shown


def test_a_list_has_headings_on_a_terminal_only() -> None:
    assert invoke("--local", "secrets", "set", "mail", stdin=b"v").status == 0
    with terminal("--local", "secrets", "list", NO_COLOR="1") as shown:
        assert shown.end() == 0
    assert shown.shown.splitlines() == ["KEY", "mail"]
    assert invoke("--local", "secrets", "list").stdout == "mail\n"
    with terminal("--local", "agents", "list") as shown:
        assert shown.end() == 0
    assert "MODEL" not in shown.shown  # there are none


def test_headings_are_cut_as_the_rows_are() -> None:
    assert invoke("--local", "run", "a text that is longer than the line", "--session-id", "s").status == 0
    with terminal("--local", "trace", "list", columns=60, NO_COLOR="1") as shown:
        assert shown.end() == 0
    heading, row = shown.shown.splitlines()
    assert heading.split() == ["TIMESTAMP", "DECISION", "TRACE_ID", "…"]
    assert len(row) == 60
    assert row.endswith("…")
    assert heading.index("DECISION") == row.index("ALLOW")


@pytest.mark.parametrize(
    ("env", "option", "colored"),
    [
        ({"NO_COLOR": "1"}, "auto", False),
        ({"TERM": "dumb"}, "auto", False),
        ({"NO_COLOR": "1"}, "always", True),
        ({}, "never", False),
    ],
)
def test_colours_on_a_terminal(env: dict[str, str], option: str, colored: bool) -> None:
    with terminal("run", "--color", option, **env) as shown:
        assert shown.end() == 2
    assert ("\x1b[" in shown.shown) is colored


@pytest.mark.parametrize(
    ("env", "options", "colored"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "0"}, [], False),
        ({}, ["--color=always"], True),
    ],
)
def test_colours_without_a_terminal(
    env: dict[str, str], options: list[str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in invoke(*options, "health", "--nonsense").stderr) is colored


def test_a_locale_without_the_characters() -> None:
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with terminal("--local", "run", "x", **env) as shown:
        assert shown.end() == 0
    assert "ALLOW - " in shown.shown
    assert shown.shown.isascii()


def test_a_missing_text_is_not_waited_for() -> None:
    with terminal("run") as shown:
        assert shown.end() == 2
    assert 'hestiaos run "create a report"' in shown.shown


def test_a_spinner_after_a_second(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with terminal("health", "-u", f":{port}") as shown:
            shown.expect("⠋")
            shown.type("\x03")
            assert shown.end() == -signal.SIGINT


@pytest.mark.parametrize("name", SHELLS)
def test_ctrl_c_ends_the_loop_of_a_shell(name: str) -> None:
    script = f"for i in 1 2 3; do {PROGRAM} --local system status --watch 60; echo next; done; echo after"
    with Terminal([name, "-c", script], env=os.environ) as shown:
        shown.expect("storage: true")
        shown.type("\x03")
        assert shown.end() == -signal.SIGINT
    assert "next" not in shown.shown
    assert "Traceback" not in shown.shown


def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    """A script runs what it puts into the background so."""
    script = 'trap "" INT; exec "$@"'
    command = ["sh", "-c", script, "sh", str(PROGRAM), "--local", "system", "status", "--watch", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM


def test_a_conversation() -> None:
    with terminal("--local", "chat", NO_COLOR="1") as shown:
        shown.expect("> ")
        shown.type("hello there\n")
        shown.expect("processed: hello there")
        session = re.search(r"session ([\w-]+)", shown.shown + shown.expect("> "))
        shown.type("not sent")
        shown.expect("not sent")
        shown.wait_for_rest()  # a signal just before Python waits for a key is noticed with the next key only
        shown.type("\x03")
        shown.expect("> ")
        shown.type("\x1b[A\n")  # the arrow up: the line before
        shown.expect("processed: hello there")
        assert "session" not in shown.expect("> ")  # it is told once
        shown.type("\x04")
        assert shown.end() == 0
    assert session is not None
    assert invoke("--local", "chat", "-c", "more", "-q", "session_id").stdout == f"{session[1]}\n"
    with terminal("--local", "chat", "-c", NO_COLOR="1") as shown:
        shown.expect("> ")
        shown.type("\x1b[A\n")
        shown.expect("processed: hello there")
        shown.expect(session[1])
        shown.expect("> ")
        shown.type("\x04")
        assert shown.end() == 0


def test_ctrl_c_cancels_an_answer_and_keeps_the_conversation(home: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        terminal("chat", "-u", f":{listener.getsockname()[1]}", NO_COLOR="1") as shown,
    ):
        shown.expect("> ")
        shown.type("hello\n")
        peer = listener.accept()[0]
        assert peer.recv(1)
        shown.type("\x03")
        shown.expect("cancelled")
        shown.expect("> ")
        with peer:
            while peer.recv(65536):
                pass  # until the connection is ended
        shown.type("\x04")
        assert shown.end() == 0
    (history,) = home.rglob("chat_history")
    assert history.stat().st_mode & 0o077 == 0


def test_a_secret_is_asked_for_and_not_shown() -> None:
    with terminal("--local", "secrets", "set", "key") as shown:
        shown.expect("Value of key: ")
        shown.type("s3cret\n")
        assert shown.end() == 0
    assert "s3cret" not in shown.shown
    assert invoke("--local", "secrets", "get", "key").stdout == "s3cret\n"


def test_a_secret_that_is_not_utf_8() -> None:
    with terminal("--local", "secrets", "set", "key") as shown:
        shown.expect("Value of key: ")
        shown.type("a\udcff\n")
        assert shown.end() == 2
    assert "what was entered is not UTF-8: byte 2 is wrong" in shown.shown


def test_a_conversation_in_the_c_locale(home: Path) -> None:
    """What is typed is UTF-8 all the same. A history that cannot be kept does not end it."""
    (home / ".local/share/hestiaos/chat_history").mkdir(parents=True)
    with terminal("--local", "chat", NO_COLOR="1", LC_ALL="C") as shown:
        shown.expect("chat_history is left out: Is a directory")
        shown.expect("> ")
        shown.type("\U0001f389\u00e9\n")
        shown.expect("processed: \U0001f389\u00e9")
        shown.expect("> ")
        shown.type("\x04")
        assert shown.end() == 0


def test_progress_is_drawn_over_itself(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("x\n" * 400)
    with terminal("--local", "batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), columns=60) as shown:
        assert shown.end() == 0
    drawn = [line for line in shown.shown.split("\r") if "/400" in line]
    assert drawn
    assert all(len(line.removesuffix("\x1b[K")) < 60 for line in drawn)
    assert "left" in drawn[-1]
    assert "400 inputs done" in shown.shown.splitlines()[-2]


def test_no_progress_is_drawn_among_results(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("one\ntwo\n")
    with terminal("--local", "batch", str(tmp_path / "in")) as shown:
        assert shown.end() == 0
    results = [line for line in shown.shown.splitlines() if line.startswith("{")]
    assert len(results) == 2
    assert "\x1b[K" not in shown.shown

"""`chat`: replies as they come where the server can, and a session that outlives what is cancelled."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hestiaos_local import Key, Keys
from hestiaos_local.keys import hash_key
from hestiaos_local.testing import ScriptedPlatform
from tests.support.command_line import PROGRAM, invoke

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def scripted() -> Iterator[ScriptedPlatform]:
    with ScriptedPlatform() as platform:
        yield platform


class WithoutStreams(BaseHTTPRequestHandler):
    """A server as 1.0 has it: chats, and no streams of them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.path == "/api/chat"
        reply = {"response": f"heard {asked['message']}", "session_id": "s-1"} if known else {"detail": "Not Found"}
        data = json.dumps(reply).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def without_streams() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), WithoutStreams) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_reply_is_whole_without_a_terminal(scripted: ScriptedPlatform) -> None:
    scripted.say("good ", "day")
    assert invoke("chat", "hello", "-u", scripted.url).stdout == "good day\n"
    assert [each.operation for each in scripted.requests] == ["chat"]


def test_a_reply_as_it_comes_where_that_is_asked_for(scripted: ScriptedPlatform) -> None:
    scripted.say("good ", "day", times=3)
    assert invoke("chat", "hello", "--stream", "-u", scripted.url).stdout == "good day\n"
    lines = invoke("chat", "hello", "--stream", "--json", "-u", scripted.url).stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["start", "token", "token", "final", "done"]
    session = invoke("chat", "-c", "hello", "--stream", "-q", "session_id", "-u", scripted.url).stdout
    assert json.loads(lines[0])["data"]["session_id"] == session.strip()


def test_a_conversation_is_continued_by_the_key_that_began_it(serve_platform: Callable[..., str], home: Path) -> None:
    """The server shows it to no other."""
    url = serve_platform(keys=Keys(Key(name, hash_key(f"{name}-key"), ("run", "read")) for name in ("alice", "bob")))

    def session(key: str, *arguments: str) -> str:
        return invoke("chat", "hello", *arguments, "-q", "session_id", "-u", url, "-k", key).stdout

    of_alice = session("alice-key")
    assert "there is no conversation" in invoke("chat", "-c", "hello", "-u", url, "-k", "bob-key").error
    of_bob = session("bob-key")
    assert (session("alice-key", "-c"), session("bob-key", "-c")) == (of_alice, of_bob)
    assert of_alice != of_bob
    (kept,) = home.rglob("sessions.json")
    assert "-key" not in kept.read_text()


def test_a_reply_as_it_comes_from_the_platform_in_this_process() -> None:
    assert invoke("--local", "chat", "hello", "--stream").stdout == "processed: hello\n"
    assert invoke("--local", "chat", "rm -rf /", "--stream", "--exit-codes").status == 3


def test_a_server_without_streams_is_said_to_have_none_where_one_is_asked_for(without_streams: str) -> None:
    assert "leave --stream out" in invoke("chat", "hello", "--stream", "-u", without_streams).error
    assert invoke("chat", "hello", "-u", without_streams).stdout == "heard hello\n"


if sys.platform != "win32":
    from tests.support.terminals import Terminal

    def terminal(*arguments: str) -> Terminal:
        return Terminal([str(PROGRAM), *arguments], env=os.environ | {"NO_COLOR": "1"})

    def test_a_message_on_a_terminal_is_answered_as_the_reply_comes(scripted: ScriptedPlatform) -> None:
        held = scripted.say("good ", "day", hold_after=1)
        with terminal("chat", "hello", "-u", scripted.url) as shown:
            shown.expect("good ")
            held.release()
            shown.expect("day")
            assert shown.end() == 0
        assert "session " in shown.shown

    def test_a_conversation_with_a_server_without_streams(without_streams: str) -> None:
        with terminal("chat", "-u", without_streams) as shown:
            shown.expect("> ")
            shown.type("one\n")
            shown.expect("heard one")
            assert "session s-1" in shown.expect("> ")
            shown.type("two\n")
            shown.expect("heard two")
            assert "session" not in shown.expect("> ")  # it is told once
            shown.type("\x04")
            assert shown.end() == 0

    def test_ctrl_c_in_the_middle_of_a_reply_keeps_the_session(scripted: ScriptedPlatform) -> None:
        scripted.say("good ", "day", hold_after=1)
        scripted.say("again")
        with terminal("chat", "-u", scripted.url) as shown:
            shown.expect("> ")
            shown.type("hello\n")
            shown.expect("good ")
            shown.type("\x03")
            assert "\n" in shown.expect("cancelled")
            shown.expect("> ")
            shown.type("hello?\n")
            shown.expect("again")
            found = re.search(r"session (\S+)", shown.expect("> "))
            shown.type("\x04")
            assert shown.end() == 0
        first, second = scripted.requests
        assert first.arguments["session_id"] is None
        assert found is not None
        assert second.arguments["session_id"] == found[1]

    def test_a_reply_that_fails_leaves_the_conversation_open(scripted: ScriptedPlatform) -> None:
        scripted.fail(500, "the model broke", after="good ")
        scripted.block("not that")
        scripted.say("again")
        with terminal("chat", "-u", scripted.url) as shown:
            for message, told in (("a", "the model broke"), ("b", "not that"), ("c", "again")):
                shown.expect("> ")
                shown.type(f"{message}\n")
                shown.expect(told)
            shown.expect("> ")
            shown.type("\x04")
            assert shown.end() == 0

    def test_a_message_of_several_lines_and_a_farewell(scripted: ScriptedPlatform) -> None:
        scripted.say("day", times=2)
        with terminal("chat", "-u", scripted.url) as shown:
            shown.expect("> ")
            shown.type("good\\\n")
            shown.expect(". ")
            shown.type("morning\n")
            shown.expect("day")
            shown.expect("> ")
            shown.type("\x1b[200~good\nevening\x1b[201~")  # pasted
            shown.expect("evening")
            shown.type("\n")
            shown.expect("day")
            shown.expect("> ")
            shown.type("exit\n")
            assert shown.end() == 0
        assert [each.text for each in scripted.requests] == ["good\nmorning", "good\nevening"]

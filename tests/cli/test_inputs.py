"""What a command takes in: an argument, standard input, or both."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import PROGRAM, invoke, shell

pytestmark = pytest.mark.usefixtures("home")


def test_standard_input_needs_no_dash() -> None:
    assert invoke("--local", "run", stdin=b"from a pipe\n").stdout == "processed: from a pipe\n"


def test_only_one_newline_at_the_end_is_dropped() -> None:
    assert invoke("--local", "run", "-", "-q", "result", stdin=b"a\n\n").stdout == "processed: a\n"
    assert invoke("--local", "run", "-", "--json", stdin=b"a\r\n").json["result"] == "processed: a"


def test_an_argument_stands_above_what_is_piped_in() -> None:
    assert invoke("--local", "run", "summarise", stdin=b"a report\n").stdout == "processed: summarise\n\na report\n"


def test_a_shell_loop_keeps_its_file(tmp_path: Path) -> None:
    """What follows the line that the loop has read is left to the loop."""
    (tmp_path / "list").write_text("one\ntwo\n")
    done = shell(f'while read item; do hestiaos --local run "$item"; done < {tmp_path}/list')
    assert done.stdout == "processed: one\nprocessed: two\n"


@pytest.mark.skipif(os.name != "posix", reason="a silent pipe is told of where it can be waited for")
def test_a_note_about_a_pipe_that_stays_silent() -> None:
    with subprocess.Popen(
        [PROGRAM, "--local", "run", "x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert b"standard input" in process.stderr.readline()
        stdout, _ = process.communicate(b"y")
    assert stdout == b"processed: x\n\ny\n"


def test_bytes_that_are_not_utf_8_are_named() -> None:
    told = invoke("--local", "run", "-", stdin=b"one\ntwo \xff three").error
    assert "byte 9, 0xff in line 2" in told


@pytest.mark.skipif(os.name != "posix", reason="arguments are bytes there")
def test_an_argument_that_is_not_utf_8_is_named() -> None:
    done = shell("""hestiaos --local run "$(printf 'a\\377')" """)
    assert done.status == 2
    assert "byte 2" in done.stderr


def test_an_argument_in_the_c_locale() -> None:
    done = shell('LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 hestiaos --local run "$1" --json', "grün €")
    assert done.json["result"] == "processed: grün €"


@pytest.mark.parametrize("command", ["run", "chat", "agents run a"])
def test_nothing_came_on_standard_input(command: str) -> None:
    told = invoke(*command.split(), stdin=b"\n")
    assert told.status == 2
    assert "standard input is empty" in told.error


def test_several_words_are_to_be_quoted() -> None:
    assert "hestiaos run 'create a report'" in invoke("run", "create", "a", "report").error
    assert "hestiaos agents run a1 'analyze data'" in invoke("agents", "run", "a1", "analyze", "data").error


@pytest.mark.parametrize("command", ["run", "chat", "agents run a"])
def test_a_text_that_begins_with_a_dash(command: str) -> None:
    done = invoke(*command.split(), "--watch this")
    assert done.status == 2
    assert f"hestiaos {command.removesuffix(' a')} -- " in done.error
    assert invoke("--local", *command.split(), "--", "--watch this").stdout == "processed: --watch this\n"


def test_one_standard_input_for_two_things() -> None:
    told = invoke("run", "-", "-k", "-", "-u", ":1", stdin=b"key").error
    assert "standard input is" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rum", "x"], "'rum'. Did you mean 'run'?"),
        (["write a report"], "'write a report'. A text is run by: hestiaos run 'write a report'"),
        (["logs"], "'logs'. You may want 'hestiaos trace list'"),
        (["auth", "status"], "'auth'. You may want 'hestiaos profile show'"),
        (["auth", "token"], "'auth'. You may want 'hestiaos login'"),
        (["keys", "set", "openai"], "'set'. You may want 'hestiaos login'"),
        (["quux"], "'quux'. 'hestiaos help' lists them."),
        (["secrets", "gte"], "'gte'. Did you mean 'get'?"),
        (["config", "set"], "'set'. You may want 'hestiaos config edit'"),
    ],
)
def test_an_unknown_command_and_what_may_be_meant(arguments: list[str], told: str) -> None:
    done = invoke(*arguments)
    assert done.status == 2
    assert f"No such command {told}" in done.error


@pytest.mark.parametrize(
    ("option", "told"),
    [("-m", "An agent (--agent-id ID) has its model"), ("--system", "its system prompt"), ("--jq", "-q trace_id")],
)
def test_an_option_of_other_command_lines(option: str, told: str) -> None:
    for command in (["run"], ["chat"], []):
        done = invoke(*command, option, "x")
        assert done.status == 2
        assert done.error.startswith(f"No such option '{option}'. ")
        assert told in done.error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve", "-u", ":8001"], "'-u'. --host and --port say where it listens"),
        (["serve", "-p", "8001"], "'-p'. --host and --port say where it listens"),
        (["api", "-X", "POST", "/x"], "'-X'. The method precedes the path: hestiaos api POST PATH"),
    ],
)
def test_an_option_that_this_command_has_in_another_form(arguments: list[str], told: str) -> None:
    done = invoke(*arguments)
    assert done.status == 2
    assert done.error.startswith(f"No such option {told}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["governance", "explain", "RUN", "{"], "the input is not JSON"),
        (["governance", "explain", "RUN", '{"a":' * 100_000], "nested deeper"),
        (["governance", "explain", "RUN", '{"a": NaN}'], "NaN is not JSON"),
        (["governance", "explain", "RUN", "path"], "name=value"),
        (["governance", "explain", "rm -rf /"], "explain RUN 'input=rm -rf /'"),
        (["agents", "run", "a", "x", "--agent-config", "[]"], "must be a JSON object"),
        (["agents", "run", "a", "x", "--agent-config", "{"], "not JSON"),
        (["api", "GET", "health"], "begins with one slash"),
        (["api", "GET", "//elsewhere/x"], "begins with one slash"),
        (["api", "POST", "/x", "-d", "{"], "not JSON"),
        (["api", "POST", "/x", "-d", "[" * 100_000], "nested deeper"),
        (["api", "POST", "/x", "-f", "a"], "NAME=TEXT"),
        (["api", "POST", "/x", "y"], "not 3 words"),
        (["api"], "[METHOD] PATH"),
        (["api", "POST", "/x", "-f", "a=b", "-d", "{}"], "two ways to give the body"),
        (["health", "-H", "nonsense", "-u", ":1"], "'Name: value'"),
        (["health", "--cacert", "/nowhere", "-u", ":1"], "/nowhere"),
        (["health", "--timeout", "0"], "--timeout"),
        (["health", "--timeout", "nan"], "nan is not a number below 10**9"),
        (["health", "--wait", "inf"], "inf is not a number below 10**9"),
        (["system", "status", "--watch", "1e400"], "1e400 is not a number below 10**9"),
        (["serve", "--heartbeat", "nan"], "nan is not a number below 10**9"),
        (["run", "x", "--local", "-k", "x"], "leave --api-key out"),
        (["run", "x", "--config", "x"], "add --local"),
        (["serve", "--base-url", "nonsense"], "--base-url"),
        (["serve", "-k", ""], "--api-key is empty"),
        (["--base-url", "nonsense", "serve"], "does not take --base-url"),
        (["--local", "serve"], "does not take --local"),
        (["-k", "x", "completion", "bash"], "does not take --api-key"),
        (["chat", "-c", "--session-id", "x", "hi"], "exclude each other"),
        (["batch", "x", "--retry-failed"], "--output"),
    ],
)
def test_what_is_typed_wrong(arguments: list[str], told: str) -> None:
    done = invoke(*arguments)
    assert done.status == 2, done
    assert told in done.error

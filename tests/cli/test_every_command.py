"""Every command, wherever its output goes: nothing is lost with status 0, nothing lands where it does not belong."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import click
import pytest
from attrs import frozen

from hestiaos_cli._app import app
from tests.support.broad import BROAD, broadly
from tests.support.command_line import Ended, invoke
from tests.support.programs import CLOSED, FULL, UNREAD, Program

pytestmark = [
    pytest.mark.usefixtures("home"),
    pytest.mark.skipif(not Path(FULL).exists(), reason="there is no /dev/full"),
]


@frozen
class Case:
    """How a command is typed, `{…}` standing for what the fixture `facts` knows. `before` is typed in front of it."""

    typed: str
    before: tuple[str, ...] = ()
    stdin: bytes = b""
    prints: bool = True
    status: int = 0
    as_json: bool = True

    @property
    def fits(self) -> bool:
        """Whether it prints help or a table, which fit any terminal."""
        words = self.typed.split()
        return not self.as_json and self.prints and "completion" not in words and "path" not in words


CASES: dict[str, Case] = {
    "": Case("", as_json=False),
    "--help": Case("--help", as_json=False),
    "--version": Case("--version", as_json=False),
    "agents": Case("agents", as_json=False),
    "agents list": Case("--local agents list --config {config}"),
    "agents run": Case("--local agents run a x"),
    "api": Case("--local api GET /api/v1/health"),
    "approvals": Case("approvals", as_json=False),
    "approvals approve": Case("--local approvals approve {approval} --config {config}"),
    "approvals deny": Case("--local approvals deny {approval} --config {config}"),
    "approvals list": Case("--local approvals list --config {config}", ("--local run wipe --config {config}",)),
    "audit": Case("audit", as_json=False),
    "audit export": Case("--local audit export", ("--local run x",), as_json=False),
    "audit verify": Case("--local audit verify", ("--local run x",)),
    "batch": Case("--local batch", stdin=b"x\n"),
    "chat": Case("--local chat x"),
    "completion": Case("completion bash", as_json=False),
    "config": Case("config", as_json=False),
    "config edit": Case("config edit --config {config}", prints=False, as_json=False),
    "config path": Case("config path", as_json=False),
    "config show": Case("config show --config {config}"),
    "doctor": Case("doctor -u {url}"),
    "governance": Case("governance", as_json=False),
    "governance explain": Case("--local governance explain RUN text=x"),
    "governance limits": Case("--local governance limits --config {config}"),
    "governance status": Case("--local governance status"),
    "governance trace": Case("--local governance trace {trace}"),
    "health": Case("--local health"),
    "help": Case("help run", as_json=False),
    "keys": Case("keys", as_json=False),
    "keys list": Case("keys list --keys {new}", ("keys new k --keys {new}",)),
    "keys new": Case("keys new k --keys {new}"),
    "keys revoke": Case("keys revoke k --keys {new}", ("keys new k --keys {new}",), prints=False, as_json=False),
    "local": Case("local", as_json=False),
    "local clear": Case("local clear --yes", prints=False, as_json=False),
    "local export": Case("local export {new}", ("--local health",), prints=False, as_json=False),
    "local path": Case("local path", as_json=False),
    "login": Case("login -u {url}", prints=False, as_json=False),
    "logout": Case("logout", ("login -u {url}",), prints=False, as_json=False),
    "models": Case("--local models --config {config}"),
    "policy": Case("policy", as_json=False),
    "policy check": Case("policy check {policy}"),
    "policy explain": Case("policy explain wipe --policy {policy}"),
    "policy replay": Case("--local policy replay {policy}", ("--local run wipe",)),
    "policy show": Case("--local policy show"),
    "policy test": Case("policy test {policy}"),
    "profile": Case("profile", as_json=False),
    "profile list": Case("profile list", ("login -u {url}",)),
    "profile show": Case("profile show -u {url}"),
    "profile use": Case("profile use default", ("login -u {url}",), prints=False, as_json=False),
    "run": Case("--local run x"),
    "secrets": Case("secrets", as_json=False),
    "secrets delete": Case("--local secrets delete k", ("--local secrets set k",), prints=False, as_json=False),
    "secrets get": Case("--local secrets get k", ("--local secrets set k",)),
    "secrets list": Case("--local secrets list", ("--local secrets set k",)),
    "secrets set": Case("--local secrets set k", stdin=b"v", prints=False, as_json=False),
    "serve": Case("serve --port {taken}", prints=False, status=1, as_json=False),
    "sessions": Case("sessions", as_json=False),
    "sessions delete": Case(
        "--local sessions delete s", ("--local chat x --session-id s",), prints=False, as_json=False
    ),
    "sessions list": Case("--local sessions list", ("--local chat x",)),
    "sessions show": Case("--local sessions show s", ("--local chat x --session-id s",)),
    "store": Case("store", as_json=False),
    "store copy": Case("store copy {own} {new} --replace", ("--local run x --config {config}",)),
    "system": Case("system", as_json=False),
    "system config": Case("--local system config"),
    "system metrics": Case("--local system metrics"),
    "system status": Case("--local system status"),
    "trace": Case("--local trace {trace}"),
}
POLICY = """
version = 2
[[rules]]
name = "wiping"
on = "input"
pattern = "wipe"
decision = "BLOCK"
reason = "it wipes"
approval = true
[[limits]]
name = "mine"
per = "all"
requests = 9
window = "1h"
[[tests]]
input = "wipe"
expect = "BLOCK"
"""
every = pytest.mark.parametrize("name", CASES)


def commands() -> Iterator[str]:
    """The names of all commands, groups too."""
    context = click.Context(app)
    for name in app.list_commands(context):
        yield name
        command = app.get_command(context, name)
        yield from (f"{name} {inner}" for inner in getattr(command, "commands", ()))


def test_each_is_here() -> None:
    assert CASES.keys() - {"", "--help", "--version"} == set(commands())


@pytest.fixture
def facts(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What a case may stand on, as far as it does."""
    case = CASES[name]
    typed = " ".join((*case.before, case.typed))
    found: dict[str, str] = {"new": str(tmp_path / "new")}
    if "{url}" in typed:
        found["url"] = request.getfixturevalue("server_url")
    (tmp_path / "policy.toml").write_text(POLICY)
    found["policy"] = str(tmp_path / "policy.toml")
    if "{config}" in typed:
        text = 'store = "own.sqlite3"\npolicy = "policy.toml"\nversion = 1\n[[agents]]\nid = "a"\n'
        text += '[[models]]\nname = "m"\nurl = "http://localhost:1/v1"\n'
        (tmp_path / "config.toml").write_text(text)
        found["config"], found["own"] = str(tmp_path / "config.toml"), str(tmp_path / "own.sqlite3")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found["taken"] = str(listener.getsockname()[1])
        yield found


@pytest.fixture
def run(name: str, facts: dict[str, str], program: Program) -> Callable[..., Ended]:
    """Types the case's command, with streams as `Program.run` takes them."""
    case = CASES[name]
    number = count()
    if "{trace}" in case.typed:
        facts["trace"] = invoke("--local", "run", "x", "-q", "trace_id").stdout.strip()

    def typed(*more: str, **streams: str) -> Ended:
        Path(facts["new"]).unlink(missing_ok=True)
        for each in case.before:
            assert invoke(*each.format(**facts).split(), stdin=b"v").status in (0, 1)  # 1 where it is blocked
        if "{approval}" in case.typed:
            where = ("--local", "--config", facts["config"])
            assert invoke("run", f"wipe {next(number)}", *where).status == 1
            pending = invoke("approvals", "list", "--status", "pending", *where, "-q", "approval_id")
            facts["approval"] = pending.stdout.split()[0]
        return program.run(*case.typed.format(**facts).split(), *more, stdin=case.stdin, **streams)

    return typed


@every
@pytest.mark.parametrize("target", broadly([FULL, CLOSED]))
def test_its_output_is_never_lost_with_status_0(name: str, target: str, run: Callable[..., Ended]) -> None:
    case, reason = CASES[name], {FULL: "No space left on device", CLOSED: "it is closed"}[target]
    lost = run(stdout=target)
    if case.prints:
        assert lost.status == 1
        assert lost.stderr.splitlines()[-1] == f"Error: standard output cannot be written: {reason}"
    else:
        assert lost.status == case.status, lost
    assert "Traceback" not in lost.stderr


@BROAD
@every
def test_it_ends_quietly_where_nobody_reads(name: str, run: Callable[..., Ended]) -> None:
    case = CASES[name]
    unread = run(stdout=UNREAD)
    assert unread.status == (-signal.SIGPIPE if case.prints else case.status), unread
    assert unread.stderr == "" or not case.prints


@BROAD
@every
def test_its_status_and_output_depend_on_nothing_else(name: str, run: Callable[..., Ended], home: Path) -> None:
    """Not on standard error, not on a locale that has ASCII alone; and colours are never in JSON."""
    case = CASES[name]
    done = run(stderr=CLOSED, encoding="ascii", environ={"LC_ALL": "C", "FORCE_COLOR": "1"})
    assert (done.status, bool(done.stdout)) == (case.status, case.prints), done
    assert done.stdout.isascii()
    for path in home.rglob("*"):  # what is opened first must not be given the number 2
        assert not path.is_file() or b"Error: " not in path.read_bytes()
    done = run(*["--json"] * case.as_json, stderr=FULL, environ={"FORCE_COLOR": "1"})
    assert (done.status, bool(done.stdout)) == (case.status, case.prints), done
    assert not case.as_json or json.loads(done.stdout)


@BROAD
@every
def test_it_fits_a_terminal(name: str, facts: dict[str, str], program: Program) -> None:
    case = CASES[name]
    if name == "login" or case.stdin or case.before or "{trace}" in case.typed or "{approval}" in case.typed:
        pytest.skip("it asks for something, or needs what was done before")
    for columns, environ in ((40, {"NO_COLOR": "1"}), (200, {"TERM": "dumb"})):
        Path(facts["new"]).unlink(missing_ok=True)
        done = program.run_in_terminal(*case.typed.format(**facts).split(), columns=columns, environ=environ)
        assert done.status == case.status, done
        assert "\x1b" not in done.stdout
        too_long = [line for line in done.stdout.splitlines() if len(line) > columns]
        assert not (case.fits and too_long), too_long

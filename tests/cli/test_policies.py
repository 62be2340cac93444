"""`hestiaos policy`: files are checked and tested here, and the policy that decides is shown and asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from hestiaos_local import Policy
from tests.support.command_line import invoke

pytestmark = pytest.mark.usefixtures("home")
pytest.importorskip("re2")

RULE = """\
version = 2
name = "team"
[[rules]]
name = "no-wiping"
on = ["input", "tool"]
pattern = '\\brm\\s+-\\w*[rf]'
decision = "BLOCK"
reason = "destroys files"
"""
TEST = '[[tests]]\ninput = "{text}"\nexpect = "BLOCK"\n'
FIVE_MISTAKES = """\
version = 2
[[rules]]
name = "a"
on = "inptu"
decision = "BLOCK"
[[rules]]
name = "a"
on = "input"
pattern = '(?=x)'
decision = "STOP"
[[rules]]
name = "c"
on = "input"
risk = 2
decision = "BLOCK"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "team.toml"


@pytest.fixture
def where(request: pytest.FixtureRequest) -> list[str]:
    """The options that name the platform."""
    return ["-u", request.getfixturevalue("server_url")] if request.param else ["--local"]


EVERYWHERE = pytest.mark.parametrize("where", [True, False], ids=["served", "local"], indirect=True)


def test_a_file_that_is_right(file: Path) -> None:
    file.write_text(RULE + TEST.format(text="rm -rf /"))
    done = invoke("policy", "check", str(file))
    assert (done.status, done.stdout) == (0, f"{file} is right; rules: 1, limits: 0, tests that pass: 1\n")
    assert invoke("policy", "test", str(file)).stdout == "tests that pass: 1\n"
    told = invoke("policy", "check", str(file), "--json").json
    assert told == {
        "file": str(file),
        "name": "team",
        "hash": Policy.load(file).hash,
        "rules": 1,
        "limits": 0,
        "tests": 1,
        "mistakes": [],
        "failures": [],
    }


@pytest.mark.parametrize("command", ["check", "test"])
def test_all_mistakes_are_told_with_their_lines(file: Path, command: str) -> None:
    file.write_text(FIVE_MISTAKES)
    done = invoke("policy", command, str(file))
    assert (done.status, done.stderr) == (1, "")
    lines = [line.removeprefix(f"{file}, line ").partition(":")[0] for line in done.stdout.splitlines()]
    assert lines == ["4", "7", "9", "10", "14"]
    told = invoke("policy", command, str(file), "--json")
    assert (told.status, len(told.json["mistakes"]), told.json["hash"]) == (1, 5, None)


@pytest.mark.parametrize("command", ["check", "test"])
def test_a_test_that_fails_is_told_with_its_line(file: Path, command: str) -> None:
    file.write_text(RULE + TEST.format(text="ls") + TEST.format(text="rm -rf /"))
    done = invoke("policy", command, str(file))
    assert done.status == 1
    assert done.stdout == f"{file}, line 9: the test expects BLOCK, not ALLOW\n"
    assert invoke("policy", command, str(file), "-q", "failures").status == 1


def test_the_file_of_the_configuration(home: Path, file: Path) -> None:
    ended = invoke("policy", "check")
    assert ended.status == 2
    assert "config.toml has no policy" in ended.error
    file.write_text(RULE)
    config = home / ".config/hestiaos/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"policy = '{file}'\n")
    assert invoke("policy", "check").status == 0


def test_files_with_a_byte_order_mark(home: Path, file: Path) -> None:
    """Some editors write one: the command line takes it as the server does."""
    file.write_text(RULE, encoding="utf-8-sig")
    config = home / ".config/hestiaos/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"policy = '{file}'\n", encoding="utf-8-sig")
    assert invoke("policy", "check").status == 0
    assert invoke("--local", "run", "x").status == 0


def test_a_configuration_whose_values_are_too_deep_in_each_other(home: Path) -> None:
    (home / "config.toml").write_text("policy = " + "[" * 100_000)
    assert "is not a TOML file" in invoke("config", "show", "--config", str(home / "config.toml")).error


def test_files_that_cannot_be_read(file: Path) -> None:
    assert invoke("policy", "check", str(file)).error == f"{file}: No such file or directory"
    file.write_bytes(b"version = 2\n# \xff\n")
    assert invoke("policy", "check", str(file)).error == f"{file} is not UTF-8: byte 15 is wrong"


@EVERYWHERE
def test_what_decides_is_shown(where: list[str]) -> None:
    text = invoke("policy", "show", *where).stdout
    assert invoke("policy", "show", *where, "-q", "hash").stdout.strip() == Policy.parse(text, "x").hash
    assert invoke("policy", "show", *where, "--json").json["name"] == "default"


@EVERYWHERE
def test_what_it_says_is_explained(where: list[str], home: Path) -> None:
    told = invoke("policy", "explain", "rm \u200b -rf /", *where).stdout
    for line in ("decision: BLOCK", "rule: destructive-shell", "risk_score: 1", "forms:", "- rm -rf /"):
        assert f"{line}\n" in told
    told = invoke("policy", "explain", "--tool", "shell", '{"command": "rm -rf /"}', *where, "--json").json
    assert told["decision"] == "BLOCK"
    assert invoke("policy", "explain", "x", "--command-type", "WIPE", *where, "-q", "decision").stdout == "BLOCK\n"
    assert list(home.rglob("*.sqlite3")) == []  # looking makes no store


def test_what_a_file_says_is_explained_without_a_server(file: Path) -> None:
    file.write_text(RULE)
    explain = ("policy", "explain", "--policy", str(file))
    assert invoke(*explain, "rm -f x", "-q", "rule").stdout == "no-wiping\n"
    assert invoke(*explain, "--output", "rm -f x", "-q", "decision").stdout == "ALLOW\n"
    for option in (("--local",), ("-u", ":1")):
        assert "--policy names a file, which needs no server" in invoke(*explain, "x", *option).error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--output", "--tool", "t", "x"), "--output and --tool are two things"),
        (("--tool", "t", "x"), "the text of the tool's arguments is not JSON"),
        (("--tool", "t", "[]"), "the tool's arguments must be a JSON object"),
        ((), "the text is missing"),
    ],
    ids=str,
)
def test_what_cannot_be_explained(arguments: tuple[str, ...], message: str) -> None:
    ended = invoke("policy", "explain", "--local", *arguments)
    assert ended.status == 2
    assert message in ended.error


def test_a_server_runs_a_files_tests(file: Path, server_url: str) -> None:
    file.write_text(RULE + '[[tests]]\ninput = "x"\nexpect = "BLOCK"\n')
    ended = invoke("policy", "test", str(file), "-u", server_url)
    assert ended.status == 1
    assert "the test expects BLOCK, not ALLOW" in ended.stdout
    file.write_text(RULE + '[[tests]]\ninput = "x"\nexpect = "ALLOW"\n')
    assert invoke("policy", "test", str(file), "-u", server_url).stdout == "tests that pass: 1\n"
    assert "CONNECT_FAILED" in invoke("policy", "test", str(file), "-u", ":1").error


@EVERYWHERE
def test_recorded_decisions_are_replayed_under_another_policy(where: list[str], file: Path) -> None:
    ids = [
        invoke("run", text, *where, "-q", "trace_id").stdout.strip() for text in ("ls", "rm -f x", "update all users")
    ]
    file.write_text(RULE)
    done = invoke("policy", "replay", str(file), *where)
    assert done.stdout.splitlines() == [
        f"{ids[1]}  ALLOW     -               BLOCK  no-wiping",
        f"{ids[2]}  THROTTLE  bulk-operation  ALLOW  -",
    ]
    assert done.stderr == "decisions: 3, changed: 2, unknown: 0\n"
    assert invoke("policy", "replay", str(file), *where, "--json").json == {
        "decisions": 3,
        "unknown": 0,
        "changed": [
            {
                "trace_id": ids[1],
                "decision": "ALLOW",
                "rule": None,
                "limit": None,
                "new_decision": "BLOCK",
                "new_rule": "no-wiping",
                "new_limit": None,
            },
            {
                "trace_id": ids[2],
                "decision": "THROTTLE",
                "rule": "bulk-operation",
                "limit": None,
                "new_decision": "ALLOW",
                "new_rule": None,
                "new_limit": None,
            },
        ],
    }
    text = invoke("policy", "show", *where).stdout
    file.write_text(text)
    done = invoke("policy", "replay", str(file), *where)
    assert (done.stdout, done.stderr) == ("", "decisions: 3, changed: 0, unknown: 0\n")


def test_what_a_limit_refused_is_replayed_under_a_higher_one(home: Path, file: Path) -> None:
    limit = '[[limits]]\nname = "l"\nper = "all"\nrequests = {requests}\nwindow = "1h"\n'
    file.write_text(RULE + limit.format(requests=1))
    config = home / ".config/hestiaos/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"policy = '{file}'\n")
    assert [invoke("run", "x", "--local", "--retries", "0").status for _ in range(2)] == [0, 1]
    higher = file.with_name("higher.toml")
    higher.write_text(RULE + limit.format(requests=9))
    done = invoke("policy", "replay", str(higher), "--local")
    assert done.stdout.split()[1:] == ["ALLOW", "-", "l", "ALLOW", "-"]
    assert invoke("policy", "replay", str(file), "--local").stdout == ""


def test_a_policy_with_mistakes_is_not_replayed(file: Path) -> None:
    file.write_text(FIVE_MISTAKES)
    ended = invoke("policy", "replay", str(file), "--local")
    assert ended.status == 2
    assert "line 4: " in ended.error

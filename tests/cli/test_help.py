"""Help of every command: it fits, it says what the table says, and it loads next to nothing."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import hestiaos_cli
from hestiaos_cli._app import COMMANDS, app
from hestiaos_cli._help_topics import EXAMPLE, TOPICS
from hestiaos_local import Configuration
from tests.support.command_line import invoke, shell

pytestmark = pytest.mark.usefixtures("home")

PACKAGE = Path(hestiaos_cli.__file__).parent
NAME = re.compile(r"(?<!_)HESTIAOS_[A-Z_]+[A-Z]")  # Click's own has an underscore in front


def every_command() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(app)
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None
        yield (name,), command
        for each, inner in getattr(command, "commands", {}).items():
            yield (name, each), inner


EVERY = dict(every_command())


def test_the_table_says_what_each_command_says() -> None:
    for section in COMMANDS.values():
        for name, told in section.items():
            assert (EVERY[(name,)].help or "").partition("\n")[0] == told, name


EXAMPLES = [example for command in EVERY.values() for example in getattr(command, "examples", ())]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_typed(example: str) -> None:
    found = re.search(r"hestiaos ([^)|]*)", example)
    assert found is not None
    assert invoke(*shlex.split(found[1]), "--help").status == 0  # which is asked for after the rest was read


@pytest.mark.parametrize("columns", [40, 200])
def test_help_fits(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in [(), *EVERY]:
        done = invoke(*words, "--help")
        assert done.status == 0
        too_long = [line for line in done.stdout.splitlines() if len(line) > columns]
        assert not [line for line in too_long if " " in line.strip()], (words, too_long)


def test_help_by_its_command() -> None:
    assert invoke("help", "agents", "run").stdout == invoke("agents", "run", "--help").stdout
    assert invoke("help").stdout == invoke("--help").stdout == invoke().stdout
    assert invoke("agents").stdout == invoke("agents", "--help").stdout


def test_the_variables_that_are_read() -> None:
    """Each that the command line's own modules name is listed."""
    listed = invoke("help", "environment").stdout
    named = {name for path in PACKAGE.glob("**/*.py") for name in NAME.findall(path.read_text("utf-8"))}
    assert {"HESTIAOS_API_KEY", "HESTIAOS_PROFILE"} <= named
    assert {name for name in named if name not in listed} == set()


def test_the_configuration_of_the_help_is_one() -> None:
    assert all(f"  {line}\n" in invoke("help", "models").stdout for line in EXAMPLE.splitlines())
    assert Configuration.parse(EXAMPLE, "the help", {}).models["small"].url == "http://localhost:11434/v1"


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_fits(topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert max(map(len, invoke("help", topic).stdout.splitlines())) <= 40


def test_the_exit_statuses_are_in_the_help() -> None:
    assert "7 stream cut" in " ".join(invoke("--help").stdout.split())


@pytest.mark.parametrize(
    "arguments",
    ["--help", "-V", "run --help", "batch --help", "run --nonsense", "rum", "completion bash", "complete"],
)
def test_what_needs_no_library_loads_none(arguments: str) -> None:
    program = (
        "import os, sys\nfrom hestiaos_cli import main\nwords = sys.argv[1].split()\n"
        "if words == ['complete']:\n"
        "    os.environ |= {'_HESTIAOS_COMPLETE': 'bash_complete', 'COMP_WORDS': 'hestiaos ru', 'COMP_CWORD': '1'}\n"
        "try: main(words)\nexcept SystemExit: pass\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(loaded & {'httpx', 'trio', 'anyio', 'h11', 'attr', 'attrs', 'hestiaos_proto', 'hestiaos', 'ssl'})"
    )
    done = subprocess.run([sys.executable, "-c", program, arguments], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_a_run_loads_nothing_that_it_does_not_use(server_url: str) -> None:
    program = (
        "import sys\nfrom hestiaos_cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print({name.partition('.')[0] for name in sys.modules} & {'trio', 'anyio', 'rich', 'pygments', 'sqlite3'})"
    )
    done = subprocess.run([sys.executable, "-c", program, "run", "x", "-u", server_url], capture_output=True, text=True)
    assert done.stdout == "processed: x\nset()\n", done.stderr


COMPLETED = {
    "bash": """
        source <(hestiaos completion bash)
        COMP_WORDS=(hestiaos "$1"); COMP_CWORD=1; _hestiaos_completion hestiaos; printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        _HESTIAOS_COMPLETE=zsh_complete COMP_WORDS="hestiaos $1" COMP_CWORD=1 hestiaos
    """,
    "fish": """
        _HESTIAOS_COMPLETE=fish_complete COMP_WORDS="hestiaos $1" COMP_CWORD="$1" hestiaos
    """,
}


@pytest.mark.parametrize("name", COMPLETED)
def test_completion(name: str) -> None:
    done = shell(COMPLETED[name], "sec", name="bash")
    assert "secrets" in done.stdout, done


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("run --profile wo", ["work"]),
        ("profile use ", ["home", "work"]),
        ("logout h", ["home"]),
        ("agents run ", ["poet", "painter"]),
        ("run --agent-id po", ["poet"]),
        ("agents run --config {other} ", ["singer"]),
        ("agents run --config {broken} ", []),
        ("run --config ", ["file"]),
    ],
)
def test_completion_of_names(words: str, found: list[str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of the user's own files, of which a broken one has none."""
    folder = home / "configuration" / "hestiaos"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    profile = {"base_url": "http://localhost:1", "api_key": None, "keyring": False}
    profiles = folder / "profiles.json"
    profiles.write_text(json.dumps({"current": None, "profiles": {"home": profile, "work": profile}}))
    profiles.chmod(0o600)
    (folder / "config.toml").write_text('version = 1\n[[agents]]\nid = "poet"\n[[agents]]\nid = "painter"\n')
    (home / "other.toml").write_text('[[agents]]\nid = "singer"\n')
    (home / "broken.toml").write_text("[[agents]\n")
    typed = f"hestiaos {words}".format(other=home / "other.toml", broken=home / "broken.toml")
    # As the script of fish asks: all words, and the last of them. Each answer is its kind, its value, and its help.
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", typed.rpartition(" ")[2])
    monkeypatch.setenv("_HESTIAOS_COMPLETE", "fish_complete")
    done = invoke()
    assert done.status == 0
    answers = [line.partition("\t")[0].split(",") for line in done.stdout.split("\n") if line]
    assert [value or kind for kind, value in answers] == found


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_taken_by_it(name: str, tmp_path: object) -> None:
    import shutil

    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    check = {"bash": "bash -n", "zsh": "zsh -n", "fish": "fish --no-execute"}[name]
    done = shell(f'hestiaos completion {name} > "$HOME/script" && {check} "$HOME/script"')
    assert (done.status, done.stderr) == (0, "")

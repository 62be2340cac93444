"""README.md and the pages of docs/: every block of code is run as it is printed, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from code import InteractiveConsole
from html import unescape
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.records import load
from benchmarks.report import report
from hestiaos_local import Configuration, Policy
from tests.support.broad import BROAD
from tests.support.documents import FILE_NAME, PAGES, ROOT, WALK, Block, Runner, blocks, matches

README = ROOT / "README.md"
SITE = "https://hestiaos.github.io/hestiaos/"
BLOB = "https://github.com/hestiaos/hestiaos/blob/main/"
RAW = "https://raw.githubusercontent.com/hestiaos/hestiaos/main/"

# CI cuts these two out of the README and runs them, since they make an environment of their own.
RUN_BY_CI = [
    'python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/hestiaos --local run "create a report"\n',
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest -q\n",
]
NOT_RUN = {"text"}  # drawings and layouts
RUN = [pytest.param(page, marks=[BROAD] * ("guides" in page.parts)) for page in PAGES if page != WALK]
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@needs_bash
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_blocks_of_a_page(page: Path, server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HESTIAOS_BASE_URL", server_url)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / '.venv' / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("HESTIAOS_API_KEY", raising=False)
    # A pytest that a page starts loads our plugin alone: those of other packages take it seconds.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "hestiaos.pytest_plugin")
    runner, printed = Runner(page, tmp_path, server_url), ""
    all_blocks = [block for block in blocks(page) if block.language not in NOT_RUN and block.text not in RUN_BY_CI]
    for block, after in pairwise([*all_blocks, Block("", "", 0)]):
        where = f"{name_of(page)}, line {block.line}"
        if block.language == "output":
            assert matches(block.text, printed), f"{where}: it printed\n{printed}"
        elif block.language == "toml":
            runner.run(block, may_fail=False)
            if "[[models]]" in block.text:
                Configuration.parse(block.text, where, {})
            else:
                Policy.parse(block.text, where)
        else:
            assert block.language in ("python", "sh"), f"{where}: a block of {block.language!r} is not run"
            printed = runner.run(block, may_fail=after.language == "output")


class Pasting(InteractiveConsole):
    """The interactive interpreter, without carrying anything out."""

    def runcode(self, code: object) -> None:
        """Do nothing: that it compiles is enough."""

    def showsyntaxerror(self, filename: str | None = None, **_: object) -> None:
        """Fail the test."""
        raise


def test_the_tutorial_can_be_pasted() -> None:
    pasted = [block for block in blocks(ROOT / "docs" / "tutorial.md") if block.language == "python"]
    for block in pasted:
        console = Pasting()
        if not FILE_NAME.match(block.text):
            assert not any([console.push(line) for line in [*block.text.splitlines(), ""]][-1:])
    assert pasted


def test_the_readme_begins_with_what_ci_runs() -> None:
    shell = [block.text for block in blocks(README) if block.language == "sh"]
    assert shell[:2] == RUN_BY_CI


def test_the_readmes_links() -> None:
    source = README.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]*)\)", source)
    assert links
    for link in links:
        page = link.partition("#")[0]
        if page.startswith(SITE):
            path = ROOT / "docs" / page.removeprefix(SITE).replace(".html", ".md")
        else:
            assert page.startswith((BLOB, RAW)), link
            path = ROOT / page.removeprefix(BLOB).removeprefix(RAW)
        assert path.is_file(), link


def test_the_architecture_names_each_module_of_the_core_and_each_room_of_the_platform() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for heading, package in (("## The core\n", "hestiaos_proto"), ("## The platform\n", "hestiaos_local")):
        section = text.partition(heading)[2].partition("\n## ")[0]
        named = {
            name for row in re.findall(r"^\| (`[^|]*)", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
        }
        folder = Path(str(import_module(package).__file__)).parent  # the installed one's, where a wheel is tested
        parts = [path for path in folder.iterdir() if path.is_dir() or package == "hestiaos_proto"]
        expected = {path.stem.strip("_") for path in parts if path.suffix in ("", ".py") and path.stem[:2] != "__"}
        assert named == expected


def test_the_benchmarks_report_what_is_recorded() -> None:
    assert (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8").startswith(report(load()))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_extras_that_a_page_names(page: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for named in re.findall(r"(?:hestiaos|\.)\[([\w,]+)\]'", page.read_text(encoding="utf-8")):
        assert set(named.split(",")) <= set(extras), named


COMPARED = re.findall(
    r"^`python (examples/comparison\.py \S+)`\n\n```text\n(.*?)```",
    (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


@pytest.mark.thorough  # each imports the peers that are installed
@pytest.mark.parametrize(("command", "shown"), COMPARED, ids=[command.split()[1] for command, _ in COMPARED])
def test_a_command_of_a_comparison(command: str, shown: str) -> None:
    environ = os.environ | {"PYTHONIOENCODING": "utf-8"}
    ended = subprocess.run([sys.executable, *command.split()], cwd=ROOT, capture_output=True, check=True, env=environ)
    ours, *theirs = ended.stdout.decode().splitlines()
    assert ours == shown.splitlines()[0]
    for peer, line in zip(theirs, shown.splitlines()[1:], strict=True):
        assert peer == line or peer.endswith(" not installed")


def test_every_comparison_is_shown() -> None:
    cases = re.findall(
        r'^    "([\w-]+)": ', (ROOT / "examples" / "comparison.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [command.split()[1] for command, _ in COMPARED] == cases


def test_each_benchmark_that_is_named_is_there() -> None:
    for page in PAGES:
        for name in re.findall(r"python -m benchmarks (\w+)", page.read_text(encoding="utf-8")):
            assert (ROOT / "benchmarks" / f"{name}.py").is_file(), name


@pytest.mark.skipif(not (ROOT / "noxfile.py").is_file(), reason="there is no noxfile.py")
def test_each_session_that_is_named_is_there() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE))
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    named = {name for names in re.findall(r"session: \[(.*)\]", workflow) for name in names.split(", ")}
    table = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| --- |")[2]
    named |= {name for line in table.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)}
    named |= set(re.findall(r"nox -s (\w+)", workflow))
    assert named
    assert named <= sessions


@BROAD
@needs_bash
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("name", ["terminal", "terminal-help", "terminal-stream"])
def test_a_picture_shows_what_the_commands_print(name: str) -> None:
    picture = (ROOT / "docs" / "_static" / f"{name}.svg").read_text("utf-8")
    drawn = [re.sub("<[^>]*>", "", line) for line in re.findall(r"<text [^>]*>(.*)</text>", picture)]
    printed = list(runpy.run_path(str(ROOT / "docs" / "terminal.py"))["PICTURES"][name]())[:-1]
    changing = re.compile(r"\x1b\[\d*m|[0-9a-f]{8}(-[0-9a-f]+){2,4}-?|[0-9-]+T[0-9:.+]+|latency_ms: .*|[0-9.]+ ms")
    assert [changing.sub("", unescape(line)) for line in drawn] == [changing.sub("", line) for line in printed]

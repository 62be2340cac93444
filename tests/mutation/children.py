"""Runs a module's tests against its mutants, each in a forked process of its own.

pytest is set up once for a module. Before it collects, when nothing of the core is loaded yet, a process forks off that
collects, and gives each mutant of a function's body a child in which the function has the changed code. A mutant of
anything else, or of a function that runs as the module is loaded, gets a child that loads it in its changed form.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from itertools import accumulate
from pathlib import Path
from time import process_time
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from mutants import Mutant

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "proto"
GOVERNANCE = ROOT / "tests" / "governance"
_GOVERNANCE = {  # the tests of the room for governance that a module's mutants are given to
    "characters": ["test_mapping.py", "test_normal_forms.py"],
    "engines": ["test_searchers.py", "test_engines.py"],
    "facts": ["test_facts.py", "test_version2.py"],
    "mapping": ["test_mapping.py", "test_normal_forms.py"],
    "normal": ["test_normal_forms.py"],
    "output": ["test_output.py"],
    "policy": ["test_policy.py", "test_version2.py", "test_version1.py"],
    "re2_engine": ["test_searchers.py", "test_engines.py"],
    "re_engine": ["test_searchers.py", "test_engines.py", "test_version1.py"],
    "rule_sets": ["test_scanner.py", "test_output.py"],
    "rule_tables": ["test_version2.py"],
    "rules": ["test_rules.py", "test_version2.py", "test_version1.py"],
    "scanner": ["test_scanner.py", "test_output.py"],
    "syntax": ["test_engines.py"],
    "version1": ["test_version1.py"],
    "version2": ["test_version2.py"],
    "views": ["test_views.py"],
    "writing": ["test_engines.py", "test_default_policy.py"],
}
MEMORY = 4 * 1024**3
"""How much one mutant may take, in bytes: an endless loop may collect."""
TO_BE_LOADED = 77
"""The exit code for a function whose code cannot be changed where it is; pytest has no such code."""

sys.path.insert(0, str(ROOT))
for name in ("h11", "hypothesis", "msgspec", "httpx", "anyio", "trio"):  # what no child has to load again
    if importlib.util.find_spec(name):
        importlib.import_module(name)


def tests_of(path: Path) -> list[Path]:
    """A module's own test files, or the folder of them; of a part of the connections', those that go through it."""
    if path.parent.name == "governance":
        return [GOVERNANCE / name for name in _GOVERNANCE.get(path.stem.removeprefix("_"), [])]
    folder = path.parent.name.removeprefix("_")
    stem = folder if path.stem == "__init__" else path.stem.removeprefix("_")
    names = [f"test_{stem}.py", f"test_{stem}_{folder}.py", f"{stem}_{folder}"]
    names += {"request_writer": ["client_connection"], "response_reader": ["client_connection"]}.get(stem, [])
    return [TESTS / name for name in names if (TESTS / name).exists()]


def outcomes(path: Path, mutants: Sequence[Mutant], budget: float) -> list[str]:
    """What becomes of each mutant of a module: "survived", "killed" or "timeout".

    `budget` is how many seconds of tests a mutant gets, as measured without a fault; the fastest tests come first.

    Raises `RuntimeError` where the tests fail without a fault.
    """
    mutants = [*mutants, Mutant(0, (0, 0), None, path.read_text("utf-8"), "")]  # the last is none, and has to survive
    with tempfile.NamedTemporaryFile() as file:
        status = _fork()
        if status is None:
            code = 1
            try:
                quiet = os.open(os.devnull, os.O_WRONLY)
                os.dup2(quiet, 1)
                os.dup2(quiet, 2)
                code = int(pytest.main(_options(path), plugins=[_Plugin(path, mutants, budget, Path(file.name))]))
            finally:
                os._exit(code)  # every child ends here: the parent's buffers and exit handlers are not its own
        results: list[str] = [] if status else json.loads(Path(file.name).read_text())
    if not results or results.pop() != "survived":
        raise RuntimeError(f"the tests of {path.stem} do not pass as they are")
    return results


def _options(path: Path) -> list[str]:
    # The conftest above these tests serves the adapters' tests, and would load what they need.
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={ROOT}",
        f"--confcutdir={tests_of(path)[0].parent}",
        "--timeout=30",
    ]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # pytest cannot rewrite what is loaded already
    return [*options, *map(str, tests_of(path))]


def _fork(cpu: float | None = None) -> int | None:
    """`None` in the child, which may take so many seconds of processor time; how the child ended in the parent."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    if cpu is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), int(cpu) + 1))
    return None


def _outcome(status: int) -> str:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return "timeout"
    return "killed" if status else "survived"


class _Plugin:
    """The pytest plugin that puts the mutants in. Its hooks go on to the end of pytest in the children alone."""

    def __init__(self, path: Path, mutants: Sequence[Mutant], budget: float, file: Path) -> None:
        self._path = path
        self._budget = budget
        self._mutants = mutants
        self._file = file
        self._outcomes = ["unknown"] * len(mutants)
        self._lines: set[int] = set()
        self._durations: dict[str, float] = {}
        self._entered: dict[str, list[int]] = {}
        self._cpu = 0.0
        self._loaded: Mutant | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        status = _fork()
        if status is None:
            self._notice()
            return
        if status:
            os._exit(1)
        self._outcomes, self._durations, self._entered, self._cpu = json.loads(self._file.read_text())
        for number, mutant in enumerate(self._mutants):
            if self._outcomes[number] == "unknown":
                status = _fork(3 + 2 * min(self._cpu, self._budget))
                if status is None:
                    self._loaded = mutant
                    sys.meta_path.insert(0, _Changed(self._path, mutant.source))
                    return
                self._outcomes[number] = _outcome(status)
        self._file.write_text(json.dumps(self._outcomes))
        os._exit(0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if self._loaded is not None:
            self._run(self._sorted(session.items, self._loaded))
            return True
        sys.setprofile(None)
        at_loading = self._lines
        status = _fork()
        if status is None:
            self._listen(session.items)
        if status:
            os._exit(1)
        self._durations, self._entered, self._cpu = json.loads(self._file.read_text())
        functions = _functions(self._path)
        for number, mutant in enumerate(self._mutants):
            if mutant.function and not mutant.covers(at_loading):
                status = _fork(2 + min(self._cpu, self._budget))
                if status is None:
                    self._change(mutant, functions)
                    self._run(self._sorted(session.items, mutant))
                    return True
                if os.waitstatus_to_exitcode(status) != TO_BE_LOADED:
                    self._outcomes[number] = _outcome(status)
        self._file.write_text(json.dumps([self._outcomes, self._durations, self._entered, self._cpu]))
        os._exit(0)

    def _notice(self) -> None:
        """From here on, note the first lines of the module's functions that are entered."""
        self._lines = set()

        def enter(frame: FrameType, event: str, arg: Any) -> None:
            if event == "call" and frame.f_code.co_filename == str(self._path):
                self._lines.add(frame.f_code.co_firstlineno)

        sys.setprofile(enter)

    def _listen(self, items: list[pytest.Item]) -> None:
        """Run the tests without a fault, and note what they take and enter."""
        for item in items:
            started = process_time()
            self._notice()
            self._run([item])
            sys.setprofile(None)
            self._durations[item.nodeid] = process_time() - started
            self._entered[item.nodeid] = sorted(self._lines)
        self._file.write_text(json.dumps([self._durations, self._entered, process_time()]))
        os._exit(0)

    def _sorted(self, items: list[pytest.Item], mutant: Mutant) -> list[pytest.Item]:
        """The tests that enter the changed function first, and of those the fastest, as many as there is time for."""

        def key(item: pytest.Item) -> tuple[bool, float]:
            return not mutant.covers(self._entered.get(item.nodeid, [])), self._durations.get(item.nodeid, 0.0)

        chosen = sorted(items, key=key)
        ends = accumulate(self._durations.get(item.nodeid, 0.0) for item in chosen)
        return [item for item, end in zip(chosen, ends, strict=True) if end <= self._budget]

    def _run(self, items: list[pytest.Item]) -> None:
        """Run these tests, and end the process at the first failure."""
        for number, item in enumerate(items):
            after = items[number + 1] if number + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if item.session.testsfailed:
                os._exit(1)

    def _change(self, mutant: Mutant, functions: dict[tuple[str, int], list[FunctionType]]) -> None:
        for code in _codes(compile(mutant.source, str(self._path), "exec", dont_inherit=True)):
            if code.co_qualname == mutant.function:
                for function in functions[code.co_qualname, code.co_firstlineno]:
                    try:
                        function.__code__ = code
                    except ValueError:  # it closes over something else than before
                        os._exit(TO_BE_LOADED)


def _functions(path: Path) -> dict[tuple[str, int], list[FunctionType]]:
    """The functions of a module that is loaded, by qualified name and line."""
    found: dict[tuple[str, int], list[FunctionType]] = defaultdict(list)
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename == str(path):
            found[thing.__code__.co_qualname, thing.__code__.co_firstlineno].append(thing)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


class _Changed(importlib.abc.MetaPathFinder, SourceFileLoader):
    """Finds and loads one module from a source of its own."""

    def __init__(self, path: Path, source: str) -> None:
        module = path.parent if path.stem == "__init__" else path.with_suffix("")
        super().__init__(".".join(module.relative_to(ROOT).parts), str(path))
        self._source = source

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)

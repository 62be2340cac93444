"""What every scenario has around it, and the matrix at the end."""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bindings import BINDINGS
from tests.support.environment import environment
from tests.support.leftovers import left_over, open_things
from tests.support.rows import read_rows
from tests.support.sessions import KEY, SECRET

HERE = Path(__file__).parent

_results: dict[tuple[str, str], str] = {}


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    """No file descriptor and no thread is left open. Tasks are counted by the session that has the event loop."""
    gc.collect()
    gc.freeze()  # the collections of this scenario need not look at what was there before it, which takes a while
    before = open_things()
    yield
    assert left_over(before) == set()


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Nothing of the proxies and certificates of the user who runs the tests."""
    with environment():
        yield


class _Format(logging.Formatter):
    """Leaves the frames out, which hold source code and no values, and take a fifth of the suite's time."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  # the standard library's name
        return "".join(traceback.format_exception(ei[1], limit=0))


class _Log(logging.Handler):
    """Keeps the lines that tell too much."""

    def __init__(self, *secrets: str) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._secrets = secrets
        self._format = _Format().format

    def emit(self, record: logging.LogRecord) -> None:
        line = self._format(record)
        if any(secret in line for secret in self._secrets):
            self.lines.append(line)


@pytest.fixture(autouse=True)
def logs_nothing_secret() -> Iterator[None]:
    """No log line, of whatever library and level, holds the API key or a secret."""
    log = _Log(KEY, SECRET)
    names = (None, "asyncio", "hestiaos", "httpx", "httpcore", "httpx2", "httpcore2")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(log)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False  # pytest writes it all down, which takes time, and locks that a fork may find taken
    yield
    for logger, level, propagate in before:
        logger.removeHandler(log)
        logger.setLevel(level)
        logger.propagate = propagate
    assert log.lines == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    mark = item.get_closest_marker("fault")
    if mark is not None and (report.when == "call" or report.outcome != "passed"):
        cell = mark.args[0], item.callspec.params["binding"].name
        worst = ["pass", "skip", "FAIL"]
        outcome = {"passed": "pass", "skipped": "skip", "failed": "FAIL"}[report.outcome]
        _results[cell] = max(outcome, _results.get(cell, "pass"), key=worst.index)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _results:
        return
    names = [binding.name for binding in BINDINGS]
    write = terminalreporter.write_line
    terminalreporter.section("faults x bindings")
    for table, rows in read_rows(HERE / "faults.md").items():
        write("")
        write(f"{table:<72} " + " ".join(names))
        for row in rows:
            shown = row if len(row) <= 72 else row[:71] + "…"
            cells = (f"{_results.get((row, name), ''):^{len(name)}}" for name in names)
            write(f"{shown:<72} " + " ".join(cells).rstrip())

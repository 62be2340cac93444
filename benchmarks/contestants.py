"""Contestants, and the processes in which they work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal, Self

from attrs import frozen

from benchmarks.published import PublishedMissing, published_client

ROOT = Path(__file__).parent.parent


class BenchmarkFailed(Exception):
    """A contestant did not do its work; the message says what it said."""


@frozen
class Contestant:
    """`work` is `module:function` in `benchmarks.peers`, `needs` the packages that it imports."""

    name: str
    work: str
    needs: tuple[str, ...] = ()
    loop: Literal["none", "asyncio", "trio"] = "none"
    hidden: tuple[str, ...] = ()
    published: bool = False

    def missing(self) -> str | None:
        """Why it cannot take part, if it cannot."""
        absent = [package for package in self.needs if find_spec(package) is None]
        if absent:
            return f"{' and '.join(absent)} not installed"
        if self.published:
            try:
                published_client()
            except PublishedMissing as error:
                return str(error)
        return None


@frozen
class Sample:
    """One round: CPU time in seconds, memory in bytes before, with all opened, at the end, and at the most."""

    cpu: float
    units: int
    before: int
    opened: int
    held: int
    peak: int

    @property
    def cost(self) -> float:
        """CPU time of one unit, in seconds."""
        return self.cpu / self.units


class Worker:
    """A contestant's process, from `with` to its end."""

    def __init__(self, contestant: Contestant) -> None:
        self._name = contestant.name
        path = [str(published_client())] if contestant.published else []
        told = {"work": contestant.work, "loop": contestant.loop, "hidden": contestant.hidden, "path": path}
        self._complaints = TemporaryFile("w+")  # noqa: SIM115  # closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(told)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("HESTIAOS_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def measure(self, **arguments: Any) -> Sample:
        """One round. Raises `BenchmarkFailed`."""
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        try:
            self._process.stdin.write(json.dumps(arguments) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended already: it has said why
        answer = self._process.stdout.readline()
        if not answer:
            self._complaints.seek(0)
            raise BenchmarkFailed(f"{self._name}:\n{self._complaints.read()}")
        return Sample(**json.loads(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

"""Batches that are interrupted at random places and resumed: none done twice, none lost. And what a large one takes."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from hestiaos_local import Platform
from hestiaos_local.execution import Work, function_executor
from tests.support.batches import assert_complete, executed, write_inputs
from tests.support.broad import BROAD
from tests.support.command_line import PROGRAM, invoke

pytestmark = [BROAD, pytest.mark.usefixtures("home"), pytest.mark.skipif(os.name != "posix", reason="it uses signals")]


class Server:
    """`hestiaos serve`, and its log."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.jsonl"
        with self._path.open("w") as log:
            command = [PROGRAM, "serve", "--port", "0", "--token-delay", "0", "--json"]
            self._process = subprocess.Popen(command, stderr=log)
        while not (found := re.match(r'{"url": "(.*)"}\n', self._path.read_text())):
            time.sleep(0.01)
        self.url = found[1]

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(60) == 0

    def traces(self) -> set[str]:
        """What the log says was executed: a request that repeats another has no trace of its own."""
        lines = [json.loads(line) for line in self._path.read_text().splitlines()[1:]]
        return {line["trace_id"] for line in lines if line.get("operation") == "run" and "trace_id" in line}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


class Disk:
    """A folder on a file system of 16 MiB, where this user may mount one; else one whose files may not grow."""

    SIZE = 16 << 20

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs", str(folder)]
        self._mounted = os.getuid() == 0 and subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0

    def close(self) -> None:
        if self._mounted:
            subprocess.run(["umount", str(self.folder)], check=True)

    def run_full(self, arguments: list[str], free: int) -> None:
        """Run a batch with so many bytes left, which may be too few. Nothing is left of what filled the disk."""
        if not self._mounted:
            limited = f"ulimit -f {free // 1024}; trap '' XFSZ; exec \"$@\""
            arguments = ["bash", "-c", limited, "bash", *arguments]
        filler = self.folder / "filler"
        left = os.statvfs(self.folder)
        if self._mounted:
            filler.write_bytes(bytes(max(0, left.f_bavail * left.f_bsize - free)))
        done = subprocess.run(arguments, stderr=subprocess.PIPE, text=True)
        filler.unlink(missing_ok=True)
        assert done.returncode in (0, 1), done
        assert done.returncode == 0 or re.search("No space left|File too large", done.stderr), done


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.close()


def interrupted(arguments: list[str], number: int, after: float) -> None:
    """Start a batch, and send it a signal after a while, where it has not ended before."""
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            assert process.wait(60) in (-number, 0)


def resume_to_the_end(arguments: list[str], disk: Disk, seed: int, times: int, most: int) -> None:
    """Interrupt it in all three ways, the disk with up to `most` bytes left, and run it to its end."""
    chance = random.Random(seed)
    for _ in range(times):
        way = chance.choice([signal.SIGINT, signal.SIGKILL, "full"])
        if isinstance(way, signal.Signals):
            interrupted(arguments, way, chance.uniform(0.2, 0.9))
        else:
            disk.run_full(arguments, chance.randrange(most))
    disk.run_full(arguments, chance.randrange(most))
    subprocess.run(arguments, check=True, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("count", "seed", "times"),
    [
        (300, 0, 3),
        *(
            pytest.param(10_000, seed, 12, marks=[pytest.mark.thorough, pytest.mark.timeout(1800)])
            for seed in range(10)
        ),
    ],
)
def test_none_is_done_twice_and_none_is_lost(
    tmp_path: Path, server: Server, disk: Disk, count: int, seed: int, times: int
) -> None:
    output = disk.folder / "out"
    arguments = [str(PROGRAM), "batch", str(write_inputs(tmp_path, count)), "-o", str(output), "-u", server.url]
    resume_to_the_end(arguments, disk, seed, times, most=300 * count)
    assert_complete(output, count)
    assert executed(server.url) == len(server.traces()) == count


# Started by the tests themselves, it would be told to have had as much as they have (getrusage on Linux).
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.thorough
def test_memory_stays_flat(tmp_path: Path, server_url: str) -> None:
    def peak(count: int) -> int:
        """Of a process, in KiB."""
        batch = [PROGRAM, "batch", write_inputs(tmp_path, count), "-o", tmp_path / f"out{count}", "-u", server_url]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *map(str, batch)], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    peak(100)  # the first may have to compile what it imports
    assert peak(10_000) < peak(2_000) + 4096  # by then all that a process allocates once is there


@pytest.mark.timing
def test_ten_at_a_time_are_five_times_as_fast(tmp_path: Path, serve_platform: Callable[..., str]) -> None:
    async def think(work: Work) -> str:
        await anyio.sleep(0.1)
        return "thought"

    with Platform(executor=function_executor(think)) as platform:
        url = serve_platform(platform=platform)

        def seconds(concurrency: int) -> float:
            began = time.monotonic()
            invoke("batch", str(write_inputs(tmp_path, 60)), "-n", str(concurrency), "-u", url)
            return time.monotonic() - began

        assert seconds(1) >= 5 * seconds(10)

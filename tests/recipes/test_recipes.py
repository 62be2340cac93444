"""The recipes of examples/recipes with the engines that they are for: `nox -s recipes`.

Ten thousand inputs, two workers, one of which is killed in the middle: every input has a result, none was executed
twice, and a second run of the same command does nothing.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

RECIPES = Path(__file__).parent.parent.parent / "examples" / "recipes"
INPUTS = int(os.environ.get("HESTIAOS_RECIPE_INPUTS", "10000"))
KEY = "sk-recipes-4711"
PATIENCE = 600.0  # seconds

WORKERS = {"ray_data": "ray::", "dask_partitions": "spawn_main", "spark_partitions": "pyspark.daemon"}
ENGINES = {"ray_data": "ray", "dask_partitions": "dask", "spark_partitions": "pyspark"}

pytestmark = pytest.mark.timeout(2 * PATIENCE)


def inputs(path: Path) -> Path:
    path.write_text("".join(json.dumps({"key": f"row-{n}", "text": f"summarize {n}"}) + "\n" for n in range(INPUTS)))
    return path


def executed(store: Path) -> int:
    """How many executions are complete; those that were cancelled, since their worker was killed, are not."""
    completed = 'record LIKE \'%"status":"completed"%\''
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM log WHERE {completed}").fetchone()[0]
    return count


def workers(recipe: str, mark: str) -> list[int]:
    """The processes in which an engine runs the recipe's code, by what they inherited."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inherits = f"RECIPE_MARK={mark}\0".encode() in (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_text()
            parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
        except (OSError, ValueError):  # it has ended, or is not ours
            continue
        if inherits and WORKERS[recipe] in command and (recipe != "ray_data" or "Runner" in command):
            found.append((int(folder.name), parent))
    # Spark's daemon has the workers as its children.
    return [pid for pid, parent in found if recipe != "spark_partitions" or parent in {each for each, _ in found}]


def memory(pids: list[int]) -> int:
    """What the largest of some processes holds, in MiB."""
    sizes = [0]
    for pid in pids:
        with suppress(OSError):  # it has ended
            sizes += map(int, re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()))
    return max(sizes) // 1024


@pytest.fixture(autouse=True)
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A platform whose executions take a while, so that some are under way when a worker is killed."""
    command = [sys.executable, str(Path(__file__).parent / "slow_platform.py"), str(tmp_path / "store.sqlite3"), "0.02"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        monkeypatch.setenv("HESTIAOS_API_KEY", KEY)
        monkeypatch.setenv("HESTIAOS_BASE_URL", process.stdout.readline().strip())
        yield process.pid
        process.kill()


@pytest.mark.parametrize("recipe", WORKERS)
def test_a_worker_is_killed_in_the_middle(recipe: str, served: int, tmp_path: Path) -> None:
    if find_spec(ENGINES[recipe]) is None:
        pytest.skip(f"{ENGINES[recipe]} is not installed: nox -s recipes")
    mark = f"{os.getpid()}-{recipe}"
    root = str(RECIPES.parent.parent)
    environ = os.environ | {"RECIPE_MARK": mark, "PYTHONPATH": f"{root}{os.pathsep}{RECIPES}", "RAY_DEDUP_LOGS": "0"}
    results, log = tmp_path / "results", tmp_path / "log"
    command = [sys.executable, str(RECIPES / f"{recipe}.py"), str(inputs(tmp_path / "in.jsonl")), str(results), "2"]
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=subprocess.STDOUT, cwd=tmp_path)
    try:
        while executed(tmp_path / "store.sqlite3") < INPUTS // 3:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < begun + PATIENCE, log.read_text()
            time.sleep(0.05)
        held = [(memory(workers(recipe, mark)), memory([served]))]
        killed = workers(recipe, mark)[0]
        os.kill(killed, signal.SIGKILL)
        while process.poll() is None:
            held.append((memory(workers(recipe, mark)), memory([served])))
            assert time.monotonic() < begun + PATIENCE, log.read_text()[-5000:]
            time.sleep(0.5)
        assert process.returncode == 0, log.read_text()[-5000:]
    finally:
        process.kill()
        process.wait()
    seconds = time.monotonic() - begun
    rows = [json.loads(line) for path in results.rglob("*.json*") for line in path.read_text().splitlines()]
    counted = Counter(row["key"] for row in rows)
    assert counted == dict.fromkeys((f"row-{number}" for number in range(INPUTS)), 1)
    assert [row for row in rows if row["error"] is not None] == []
    assert len({row["trace_id"] for row in rows}) == INPUTS
    assert executed(tmp_path / "store.sqlite3") == INPUTS, "none was executed twice"
    for path in [log, *results.rglob("*.json*")]:
        assert KEY.encode() not in path.read_bytes()
    print(f"{recipe}: {INPUTS:,} inputs in {seconds:.0f} s, one of two workers killed")
    (worker, platform), most = held[0], map(max, zip(*held, strict=True))
    print(
        f"MiB after a third, and at most later: a worker {worker}, {next(most)}; the platform {platform}, {next(most)}"
    )
    subprocess.run(command, env=environ, check=True, capture_output=True, cwd=tmp_path, timeout=PATIENCE)
    assert executed(tmp_path / "store.sqlite3") == INPUTS, "a second run does nothing"


def test_the_front_door_is_the_endpoint_of_ray_data_llm(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    rows = [json.dumps({"key": f"row-{n}", "text": "rm -rf /" if n == 7 else f"summarize {n}"}) for n in range(100)]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    command = [sys.executable, str(RECIPES / "ray_llm.py"), str(tmp_path / "in.jsonl"), str(tmp_path / "results")]
    environ = os.environ | {"PYTHONPATH": str(RECIPES.parent.parent)}
    done = subprocess.run(command, env=environ, capture_output=True, cwd=tmp_path, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()
    files = [path.read_bytes() for path in (tmp_path / "results").iterdir()]
    found = {row["key"]: row for file in files for row in map(json.loads, file.splitlines())}
    assert found.keys() == {f"row-{n}" for n in range(100)}
    assert found.pop("row-7")["error"].startswith("Request blocked by governance")
    assert {(row["result"], row["error"]) for row in found.values()} == {("done", None)}
    assert executed(tmp_path / "store.sqlite3") == 99
    assert KEY.encode() not in b"".join([done.stdout, done.stderr, *files])

"""Fuzzes the machines, guided by their coverage (atheris): `python tests/fuzz/run.py TARGET|all --runs N`.

Each target begins with its committed corpus; what it finds is kept in the folder that `--work` names, for the next
run. An input that breaks a promise, or takes over 100 µs of processor time per byte, three times, ends the run and is
left there too, as `TARGET-crash-…`. `python tests/fuzz/run.py TARGET --input FILE` reads it again.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["CORPUS", "TARGETS"]

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
TARGETS = ("sse", "run_stream", "models", "client", "response", "server", "completion", "output")

_LONGEST = 100e-6  # seconds of processor time per byte, of all the ways together in which a target reads it
_SHORT = 64  # bytes; what is shorter counts as so long


def timed(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """`check`, which fails where it takes too long three times in a row: once may be the machine's doing."""

    def check_in_time(data: bytes) -> None:
        allowed = _LONGEST * max(len(data), _SHORT)
        for _ in range(3):
            begin = time.process_time()
            check(data)
            if (took := time.process_time() - begin) <= allowed:
                return
        raise AssertionError(f"{len(data)} bytes took {took * 1e3:.1f} ms, more than {allowed * 1e3:.1f} ms")

    return check_in_time


def load(target: str) -> Callable[[bytes], None]:
    """A target's check, in time."""
    check: Callable[[bytes], None] = importlib.import_module(f"fuzz_{target}").check
    return timed(check)


def fuzz(target: str, work: Path, options: list[str]) -> None:
    """Fuzz one target; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(
        include=["hestiaos_proto", "hestiaos_local.openai", "hestiaos_local.governance"]
    ):  # the package loads its modules when they are needed
        check = load(target)
    found = work / target
    found.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0],
            f"-artifact_prefix={found}-",
            f"-dict={HERE / 'tokens.dict'}",
            "-print_final_stats=1",
            "-timeout=20",
            *options,
            str(found),
            str(CORPUS / target),
        ],
        check,
    )
    atheris.Fuzz()


def fuzz_all(work: Path, jobs: int, options: list[str]) -> int:
    """Fuzz every target in a process of its own, `jobs` at once; how many of them found something."""

    def one(target: str) -> int:
        return subprocess.run([sys.executable, __file__, target, "--work", str(work), *options]).returncode

    with ThreadPoolExecutor(jobs) as pool:
        codes = list(pool.map(one, TARGETS))
    for target, code in zip(TARGETS, codes, strict=True):
        print(f"{target}: {'no findings' if code == 0 else f'ended with status {code}'}")
    return sum(code != 0 for code in codes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--runs", type=int, default=-1, help="how many executions of each target")
    parser.add_argument("--seconds", type=int, default=0, help="how long each target runs")
    parser.add_argument(
        "--length", type=int, default=1024, help="of the longest input, in bytes; short ones are quicker"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers; another each time if not given")
    parser.add_argument("--jobs", type=int, default=1, help="with all: how many targets at once")
    parser.add_argument("--work", type=Path, help="where new inputs are kept; a new folder if not given")
    parser.add_argument("--input", type=Path, help="read this file only, without a fuzzer")
    given = parser.parse_args()
    # The checkout's core, whether it is installed or not.
    sys.path.insert(1, str(HERE.parent.parent))
    if given.input is not None:
        load(given.target)(given.input.read_bytes())
        return 0
    work = given.work or Path(tempfile.mkdtemp(prefix="hestiaos-fuzz-"))
    print(f"inputs are kept in {work}", flush=True)
    if given.target == "all":
        numbers = {"runs": given.runs, "seconds": given.seconds, "length": given.length, "seed": given.seed}
        return fuzz_all(work, given.jobs, [f"--{name}={number}" for name, number in numbers.items()])
    numbers = {"runs": given.runs, "max_total_time": given.seconds, "max_len": given.length, "seed": given.seed}
    fuzz(given.target, work, [f"-{name}={number}" for name, number in numbers.items()])
    return 0


if __name__ == "__main__":
    sys.exit(main())

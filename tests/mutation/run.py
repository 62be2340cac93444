"""Mutation testing of the core and of governance: one small fault at a time is put into a module, and its tests have
to notice.

    python tests/mutation/run.py                     # every module
    python tests/mutation/run.py stream sse          # these
    python tests/mutation/run.py --results FILE      # remember: what an earlier run has killed is not run again
    python tests/mutation/run.py --budget 6          # leave the slowest tests out

The faults are those of mutmut's operators. They go into tables, class bodies and properties too, which mutmut itself
leaves out. Each has a forked process, in which the module is loaded in its changed form; no file is changed. The tests
are those of the module's own test file. A survivor is printed as a diff: kill it by a test, or list it in
`survivors.md` with the reason. The command fails where the score is below 95 %. It needs `fork`, and so no Windows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from math import inf
from pathlib import Path

from children import outcomes, tests_of
from mutants import mutants_of

ROOT = Path(__file__).parents[2]
GOAL = 0.95


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation testing of hestiaos_proto.")
    parser.add_argument("modules", nargs="*", help="names of modules, without the package; all where none is given")
    parser.add_argument("--results", type=Path, help="a file of results, read and written")
    parser.add_argument("--budget", type=float, default=inf, help="seconds of tests a mutant gets, the fastest first")
    arguments = parser.parse_args()
    known = json.loads(arguments.results.read_text()) if arguments.results and arguments.results.exists() else {}
    files = [*(ROOT / "hestiaos_proto").rglob("*.py"), *(ROOT / "hestiaos_local" / "governance").glob("*.py")]
    paths = [path for path in sorted(files) if tests_of(path)]
    if arguments.modules:
        paths = [path for path in paths if name_of(path) in arguments.modules]
    total: Counter[str] = Counter()
    for path in paths:
        count = run_module(path, known, arguments.budget)
        total += count
        print(f"{name_of(path):14} {summary(count)}", flush=True)
        if arguments.results:
            arguments.results.write_text(json.dumps(known))
    print(f"{'in all':14} {summary(total)}")
    return 0 if score(total) >= GOAL else 1


def run_module(path: Path, known: dict[str, str], budget: float) -> Counter[str]:
    """How many mutants of a module were killed, ran out of time, and survived; `known` is read and added to."""
    mutants = {f"{name_of(path)}:{mutant.line}\n{mutant.diff}": mutant for mutant in mutants_of(path)}
    waiting = {key: mutant for key, mutant in mutants.items() if known.get(key, "survived") == "survived"}
    known |= dict(zip(waiting, outcomes(path, list(waiting.values()), budget), strict=True))
    for key in mutants:
        if known[key] == "survived":
            print(f"--- {key}", flush=True)
    return Counter(known[key] for key in mutants)


def name_of(path: Path) -> str:
    return (path.parent.name if path.stem == "__init__" else path.stem).removeprefix("_")


def score(count: Counter[str]) -> float:
    return 1 - count["survived"] / max(1, count.total())


def summary(count: Counter[str]) -> str:
    return (
        f"{count.total():5} mutants {count['survived']:4} survived {count['timeout']:4} timed out {score(count):7.1%}"
    )


if __name__ == "__main__":
    sys.exit(main())

"""Run the benchmarks: all of them, or those that are named.

All together take a quarter of an hour or more, and write RESULTS.md and charts/ beside this file; a selection is
printed only. What it needs is installed with the extra `bench`.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from benchmarks import concurrency, decode, platform, relay, requests, sizes, startup, streams
from benchmarks.contestants import BenchmarkFailed
from benchmarks.measuring import Plan
from benchmarks.report import report, write
from benchmarks.results import Result

BENCHMARKS: Mapping[str, Callable[[Plan], Result]] = {
    "decode": decode.run,
    "sizes": sizes.run,
    "streams": streams.run,
    "requests": requests.run,
    "startup": startup.run,
    "concurrency": concurrency.run,
    "platform": platform.run,
    "relay": relay.run,
}


def main() -> int:
    """The exit status: 1 where a benchmark failed."""
    parser = ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="run each once, in its smallest form, and time nothing")
    parser.add_argument("--rounds", type=int, default=15, help="how often contestants take turns (%(default)s)")
    told = parser.parse_args()
    if unknown := set(told.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: there are {', '.join(BENCHMARKS)}")
    plan = Plan(told.quick, 1 if told.quick else told.rounds)
    results, failed = [], False
    for name in told.names or BENCHMARKS:
        print(f"{name} …", flush=True)
        try:
            results.append(BENCHMARKS[name](plan))
        except BenchmarkFailed as error:
            failed = True
            print(f"FAILED {name}: {error}", flush=True)
    if not plan.quick:
        text = report(results, plan, datetime.now(UTC))
        print(text)
        if not told.names and not failed:
            write(text, results)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

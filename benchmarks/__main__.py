"""Run the benchmarks: all of them, or those that are named.

All together take a quarter of an hour or more. RESULTS.md and charts/ beside this file are written anew with what was
measured now; of the other benchmarks they keep what results.json has. What it needs is installed with the extra
`bench`.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from benchmarks import (
    concurrency,
    decode,
    governance,
    platform,
    postgres,
    relay,
    requests,
    sizes,
    startup,
    streams,
)
from benchmarks.contestants import BenchmarkFailed
from benchmarks.measuring import Plan
from benchmarks.records import Record, load, save
from benchmarks.report import made, report, write
from benchmarks.results import Plot, Result

BENCHMARKS: Mapping[str, Callable[[Plan], Result]] = {
    "decode": decode.run,
    "sizes": sizes.run,
    "streams": streams.run,
    "requests": requests.run,
    "startup": startup.run,
    "concurrency": concurrency.run,
    "platform": platform.run,
    "relay": relay.run,
    "governance": governance.run,
    "postgres": postgres.run,
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
    began, failed = datetime.now(UTC), False
    records: dict[str, Record] = {}
    plots: list[Plot] = []
    for name in told.names or BENCHMARKS:
        print(f"{name} …", flush=True)
        plan = Plan(told.quick, 1 if told.quick else told.rounds)
        try:
            result = BENCHMARKS[name](plan)
        except BenchmarkFailed as error:
            failed = True
            print(f"FAILED {name}: {error}", flush=True)
        else:
            records[name] = Record(made(plan, began), result.rows, plan.notes)
            plots += result.plots
    if not told.quick:
        print(report(records))
        if not failed:
            _keep(records, plots)
    return int(failed)


def _keep(records: dict[str, Record], plots: Sequence[Plot]) -> None:
    """Put these records in the place of those before, and write the report of all."""
    newest = load() | records
    kept = {name: newest[name] for name in BENCHMARKS if name in newest}
    save(kept)
    write(kept, plots)


if __name__ == "__main__":
    sys.exit(main())

"""`python dask_partitions.py INPUTS RESULTS [WORKERS]`: the JSON lines of INPUTS through Dask, one client for each partition.

Each line is an object with a `key` and a `text`. RESULTS is a folder; what has a result there is not run again. The
client reads `HESTIAOS_BASE_URL` and `HESTIAOS_API_KEY` where it runs: a key is never an argument, and in no graph.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import dask.bag
from dask.distributed import Client as Cluster
from rows import done_keys, run_rows

from hestiaos import Client

ROWS = 100  # in a partition


def run_partition(lines: Iterable[str], results: str, done: frozenset[str]) -> list[int]:
    """Run a partition, and write its results to a file of its own, whose name it gets when it is complete.

    What a killed worker had done is computed once more by another: by the same name it takes the same place.
    """
    rows = [row for row in map(json.loads, lines) if row["key"] not in done]
    if not rows:
        return [0]
    name = sha256(json.dumps([row["key"] for row in rows]).encode()).hexdigest()
    part = Path(results) / f"{name}.{os.getpid()}.part"
    with Client() as client, part.open("w", encoding="utf-8") as file:
        for row in run_rows(client, rows):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    part.replace(Path(results) / f"{name}.jsonl")
    return [len(rows)]


def main(inputs: str, results: str, workers: int = 2) -> None:
    """Run what has no result yet."""
    Path(results).mkdir(exist_ok=True)
    lines = Path(inputs).read_text(encoding="utf-8").splitlines()
    with Cluster(n_workers=workers, threads_per_worker=1, dashboard_address=None):
        bag = dask.bag.from_sequence(lines, partition_size=ROWS)
        ran = bag.map_partitions(run_partition, results, frozenset(done_keys(results)))
        print(f"{sum(ran.compute()):,} rows")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

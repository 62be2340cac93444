"""`python dask_partitions.py INPUTS RESULTS [WORKERS]`: the JSON lines of INPUTS through Dask.

There is one client for each partition.

Each line is an object with a `key` and a `text`; RESULTS is a folder that all workers see. The same command goes on
where it was stopped. The client reads `HESTIAOS_BASE_URL` and `HESTIAOS_API_KEY` where it runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import dask.bag
from dask.distributed import Client as Cluster
from rows import done_keys, run_block

from hestiaos import Client


def run_partition(lines: Iterable[str], results: str) -> list[int]:
    """Run a partition."""
    with Client() as client:
        return [run_block(client, map(json.loads, lines), results)]


def main(inputs: str, results: str, workers: int = 2) -> None:
    """Run what has no result yet."""
    done = done_keys(results)
    lines = Path(inputs).read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if json.loads(line)["key"] not in done]
    if not lines:
        print("0 rows were run")
        return
    with Cluster(n_workers=workers, threads_per_worker=1, dashboard_address=None):
        ran = dask.bag.from_sequence(lines, partition_size=100).map_partitions(run_partition, results)
        print(f"{sum(ran.compute()):,} rows were run")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

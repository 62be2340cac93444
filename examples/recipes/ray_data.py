"""`python ray_data.py INPUTS RESULTS [WORKERS]`: the JSON lines of INPUTS through Ray Data.

There is one client for each actor.

Each line is an object with a `key` and a `text`; RESULTS is a folder that all workers see. The same command goes on
where it was stopped. The client reads `HESTIAOS_BASE_URL` and `HESTIAOS_API_KEY` where it runs.
"""

from __future__ import annotations

import sys
from typing import Any

import ray
from rows import done_keys, run_block

from hestiaos import Client


class Runner:
    """An actor."""

    def __init__(self, results: str) -> None:
        self.client = Client()
        self.results = results

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        """Run a block of rows."""
        rows = [{"key": key, "text": text} for key, text in zip(block["key"], block["text"], strict=True)]
        return {"ran": [run_block(self.client, rows, self.results)]}


def main(inputs: str, results: str, workers: int = 2) -> None:
    """Run what has no result yet."""
    done = done_keys(results)
    rows = ray.data.read_json(inputs, lines=True).filter(lambda row: row["key"] not in done)
    ran = rows.map_batches(Runner, fn_constructor_args=[results], concurrency=workers, batch_size=100, num_cpus=0.5)
    print(f"{ran.sum('ran') or 0:,} rows were run")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

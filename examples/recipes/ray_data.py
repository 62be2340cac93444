"""`python ray_data.py INPUTS RESULTS [WORKERS]`: the JSON lines of INPUTS through Ray Data, one client for each actor.

Each line is an object with a `key` and a `text`. RESULTS is a folder; what has a result there is not run again. The
client reads `HESTIAOS_BASE_URL` and `HESTIAOS_API_KEY` where it runs: a key is never an argument, and in no plan.
"""

from __future__ import annotations

import sys
from typing import Any

import ray
from rows import done_keys, run_rows

from hestiaos import Client


class Runner:
    """An actor."""

    def __init__(self) -> None:
        self.client = Client()

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        """Run a block of rows."""
        rows = [{"key": key, "text": text} for key, text in zip(block["key"], block["text"], strict=True)]
        results = list(run_rows(self.client, rows))
        return {name: [row[name] for row in results] for name in ("key", "result", "trace_id", "error")}


def main(inputs: str, results: str, workers: int = 2) -> None:
    """Run what has no result yet."""
    done = done_keys(results)
    rows = ray.data.read_json(inputs, lines=True).filter(lambda row: row["key"] not in done)
    ran = rows.map_batches(Runner, concurrency=workers, batch_size=100, num_cpus=0.5)
    ran.write_json(results, mode="append")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

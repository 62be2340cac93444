"""`python spark_partitions.py INPUTS RESULTS [WORKERS]`: the JSON lines of INPUTS through Spark.

There is one client for each partition.

Each line is an object with a `key` and a `text`; RESULTS is a folder that all workers see. The same command goes on
where it was stopped. The client reads `HESTIAOS_BASE_URL` and `HESTIAOS_API_KEY` where it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from rows import done_keys, run_block

from hestiaos import Client


def run_partition(rows: Iterator[Any], results: str) -> Iterator[int]:
    """Run a partition."""
    with Client() as client:
        yield run_block(client, (row.asDict() for row in rows), results)


def main(inputs: str, results: str, workers: int = 2) -> None:
    """Run what has no result yet."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    local = SparkSession.builder.master(f"local[{workers}, 4]")  # a task is tried four times, as on a cluster
    spark = local.config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.addPyFile(str(Path(__file__).parent / "rows.py"))
    done = done_keys(results)
    # Sorted, so that a partition that is tried again has the same rows, and finds its file.
    rows = spark.read.json(inputs).repartition(10 * workers, "key").sortWithinPartitions("key").rdd
    rows = rows.filter(lambda row: row["key"] not in done)
    print(f"{rows.mapPartitions(partial(run_partition, results=results)).sum():,} rows were run")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

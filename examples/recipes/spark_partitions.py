"""`python spark_partitions.py INPUTS RESULTS [WORKERS]`: the JSON lines of INPUTS through Spark, one client for each partition.

Each line is an object with a `key` and a `text`. RESULTS is a folder; what has a result there is not run again. The
client reads `HESTIAOS_BASE_URL` and `HESTIAOS_API_KEY` where it runs: a key is never an argument, and in no plan.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from rows import done_keys, run_rows

from hestiaos import Client

SCHEMA = "key string, result string, trace_id string, error string"


def run_partition(rows: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """Run a partition."""
    with Client() as client:
        yield from run_rows(client, (row.asDict() for row in rows))


def main(inputs: str, results: str, workers: int = 2) -> None:
    """Run what has no result yet."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    local = SparkSession.builder.master(f"local[{workers}, 4]")  # a task is tried four times, as on a cluster
    spark = local.config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.addPyFile(str(Path(__file__).parent / "rows.py"))
    done = done_keys(results)
    rows = spark.read.json(inputs).rdd.filter(lambda row: row["key"] not in done).repartition(10 * workers)
    ran = spark.createDataFrame(rows.mapPartitions(run_partition), SCHEMA)
    ran.write.mode("append").option("ignoreNullFields", "false").json(results)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

"""What the recipes share: which rows are done, and how a block of them is carried out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hestiaos import Client, batch

__all__ = ["done_keys", "run_rows"]


def done_keys(results: str) -> set[str]:
    """The keys that have a result, in all files of the folder; a file that was cut counts up to its last whole line."""
    keys = set()
    for path in Path(results).rglob("*.json*"):
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n") and (row := json.loads(line))["error"] is None:
                keys.add(row["key"])
    return keys


def run_rows(client: Client, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Run the text of each row, eight at a time.

    The row's key is its `Idempotency-Key`: what a worker had done when it was killed is not executed again, but
    answered from the first time.
    """
    rows = list(rows)
    texts = [str(row["text"]) for row in rows]
    for done in batch(client.run, texts, key=lambda number, text: str(rows[number]["key"])):
        yield {
            "key": str(rows[done.number]["key"]),
            "result": done.result.result if done.result else None,
            "trace_id": done.trace_id,
            "error": str(done.error) if done.error else None,
        }

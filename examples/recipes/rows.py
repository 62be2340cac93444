"""What the recipes share: which rows are done, and how a block of them is carried out and resumed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from hestiaos import Client, batch

__all__ = ["done_keys", "run_block"]


def done_keys(results: str) -> set[str]:
    """The keys of all rows that have a result in the folder `results`."""
    keys = set()
    for path in Path(results).glob("*.jsonl"):
        with path.open("r+b") as file:
            keys |= _done(file)
    return keys


def run_block(client: Client, rows: Iterable[dict[str, Any]], results: str) -> int:
    """Run the `text` of each row, eight at a time, and return how many were run.

    Each result is appended to the block's own file in the folder `results`, which all workers see. What is there is not
    run again, however often an engine repeats the block. What was under way when a worker was killed is sent again with
    the same `Idempotency-Key`, the row's `key`, and is answered from the first time.
    """
    rows = list(rows)
    name = sha256(json.dumps([str(row["key"]) for row in rows]).encode()).hexdigest()
    path = Path(results) / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        done = _done(file)
        left = [row for row in rows if row["key"] not in done]
        texts = [str(row["text"]) for row in left]
        # A call of a worker that was killed may be under way for a while: a 409, which says how long to wait.
        for each in batch(client.run, texts, retries=8, key=lambda number, text: str(left[number]["key"])):
            result = None if each.result is None else each.result.result
            error = None if each.error is None else str(each.error)
            line = {"key": left[each.number]["key"], "result": result, "trace_id": each.trace_id, "error": error}
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
    return len(left)


def _done(file: Any) -> set[str]:
    """The keys of the rows that have a result; a line that was cut is removed."""
    file.seek(0)
    lines = file.readlines()
    if lines and not lines[-1].endswith(b"\n"):
        file.truncate(file.tell() - len(lines.pop()))
    return {row["key"] for row in map(json.loads, lines) if row["error"] is None}

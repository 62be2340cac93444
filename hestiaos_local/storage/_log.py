"""The decision log: records of what was decided and how it ended, appended to one hash chain."""

from __future__ import annotations

import sqlite3
from typing import Any

import attrs

from hestiaos_local.governance import canonical_json, entry_hash
from hestiaos_local.storage._records import Outcome, TraceRecord
from hestiaos_local.storage._retention import count_kept

__all__ = ["append_decided", "append_finished"]


def append_decided(db: sqlite3.Connection, trace: TraceRecord) -> None:
    """Append a trace's first record, inside the caller's transaction."""
    record = {
        "phase": "decided",
        "trace_id": trace.trace_id,
        "decision": trace.decision,
        "decided_at": trace.decided_at,
        "facts": trace.facts,
    }
    number = _append(db, record, trace.decided_at)
    db.execute(
        "INSERT INTO traces (number, trace_id, decision) VALUES (?, ?, ?)", (number, trace.trace_id, trace.decision)
    )


def append_finished(db: sqlite3.Connection, trace_id: str, outcome: Outcome) -> bool:
    """Append a trace's second record, inside the caller's transaction. False where it has one, or is not there."""
    waiting = db.execute("SELECT 1 FROM traces WHERE trace_id = ? AND finished IS NULL", (trace_id,)).fetchone()
    if waiting is None:
        return False
    known = {name: value for name, value in attrs.asdict(outcome).items() if value is not None}
    number = _append(db, {"phase": "finished", "trace_id": trace_id, "outcome": known}, None)
    db.execute("UPDATE traces SET finished = ? WHERE trace_id = ?", (number, trace_id))
    return True


def _append(db: sqlite3.Connection, record: dict[str, Any], decided_at: float | None) -> int:
    """Append a record to the chain. Returns its number."""
    text = canonical_json(record)
    number, last = db.execute("SELECT number + 1, hash FROM chain WHERE name = 'head'").fetchone()
    digest = entry_hash(last, text)
    db.execute(
        "INSERT INTO log (number, decided_at, size, hash, record) VALUES (?, ?, ?, ?, ?)",
        (number, decided_at, len(text), digest, text.decode()),
    )
    db.execute("UPDATE chain SET number = ?, hash = ? WHERE name = 'head'", (number, digest))
    count_kept(db, "traces", 0 if decided_at is None else 1, len(text))
    return int(number)

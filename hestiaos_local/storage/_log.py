"""The decision log: records of what was decided and how it ended, appended to a hash chain."""

from __future__ import annotations

import attrs

from hestiaos_local.governance import entry_hash
from hestiaos_local.storage._database import Transaction
from hestiaos_local.storage._records import Outcome, TraceRecord
from hestiaos_local.storage._retention import count_kept
from hestiaos_proto import json

__all__ = ["append_decided", "append_finished", "decided_record", "finished_record"]

_OUTCOME = tuple(field.name for field in attrs.fields(Outcome))


def decided_record(trace: TraceRecord) -> bytes:
    """The record of a decision."""
    record = {
        "phase": "decided",
        "trace_id": trace.trace_id,
        "decision": trace.decision,
        "decided_at": trace.decided_at,
        "facts": dict(trace.facts),
    }
    return json.dumps(record)


def finished_record(trace_id: str, outcome: Outcome) -> bytes:
    """The record of an outcome, without what is not known of it."""
    known = {name: value for name in _OUTCOME if (value := getattr(outcome, name)) is not None}
    return json.dumps({"phase": "finished", "trace_id": trace_id, "outcome": known})


def append_decided(db: Transaction, chain: int, trace: TraceRecord, record: bytes) -> None:
    """Append a trace's first record, inside the caller's transaction."""
    number = _append(db, chain, record, trace.decided_at)
    db.execute(
        "INSERT INTO traces (number, trace_id, decision) VALUES (?, ?, ?)", (number, trace.trace_id, trace.decision)
    )


def append_finished(db: Transaction, chain: int, trace_id: str, record: bytes) -> bool:
    """Append a trace's second record, inside the caller's transaction. False where it has one, or is not there."""
    found = db.execute(
        "UPDATE traces SET finished = (SELECT number + 1 FROM chain WHERE chain = ? AND name = 'head') "
        "WHERE trace_id = ? AND finished IS NULL",
        (chain, trace_id),
    ).rowcount
    if found:
        _append(db, chain, record, None)
    return found == 1


def _append(db: Transaction, chain: int, record: bytes, decided_at: float | None) -> int:
    """Append a record to a chain. Returns its number."""
    head = "SELECT number + 1, hash FROM chain WHERE chain = ? AND name = 'head'"
    number, last = db.execute(head, (chain,)).fetchone()
    digest = entry_hash(last, record)
    db.execute(
        "INSERT INTO log (number, decided_at, size, hash, record) VALUES (?, ?, ?, ?, ?)",
        (number, decided_at, len(record), digest, record.decode()),
    )
    db.execute("UPDATE chain SET number = ?, hash = ? WHERE chain = ? AND name = 'head'", (number, digest, chain))
    count_kept(db, chain, "traces", 0 if decided_at is None else 1, len(record))
    return int(number)

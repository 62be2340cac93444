"""Append decisions and their outcomes to the hash chain of the decision log."""

from __future__ import annotations

import attrs

from hestiaos_local.governance import CHAIN_SIZE, Head, chain_start, entry_hash
from hestiaos_local.storage._database import Transaction
from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage._records import Outcome, TraceRecord
from hestiaos_local.storage._retention import count_kept
from hestiaos_proto import json

__all__ = ["append_decided", "append_finished", "decided_record", "finished_record", "read_head"]

_OUTCOME = tuple(field.name for field in attrs.fields(Outcome))


def decided_record(trace: TraceRecord) -> bytes:
    """Encode the record of a decision."""
    record = {
        "phase": "decided",
        "trace_id": trace.trace_id,
        "decision": trace.decision,
        "decided_at": trace.decided_at,
        "facts": dict(trace.facts),
    }
    return json.dumps(record)


def finished_record(trace_id: str, outcome: Outcome) -> bytes:
    """Encode the record of an outcome, omitting unknown fields."""
    known = {name: value for name in _OUTCOME if (value := getattr(outcome, name)) is not None}
    return json.dumps({"phase": "finished", "trace_id": trace_id, "outcome": known})


def append_decided(db: Transaction, chain: int, trace: TraceRecord, record: bytes) -> None:
    """Append a trace's first record within the caller's transaction."""
    number = _append(db, chain, record, trace.decided_at)
    db.execute(
        "INSERT INTO traces (number, trace_id, decision) VALUES (?, ?, ?)", (number, trace.trace_id, trace.decision)
    )


def append_finished(db: Transaction, chain: int, trace_id: str, record: bytes) -> bool:
    """Append a trace's second record within the caller's transaction. Return False if it has one, or does not exist."""
    found = db.execute(
        "UPDATE traces SET finished = (SELECT number + 1 FROM chain WHERE chain = ? AND name = 'head') "
        "WHERE trace_id = ? AND finished IS NULL",
        (chain, trace_id),
    ).rowcount
    if found:
        _append(db, chain, record, None)
    return found == 1


def _append(db: Transaction, chain: int, record: bytes, decided_at: float | None) -> int:
    """Append a record to a chain. Return its number."""
    head = read_head(db, chain)
    number, digest = head.number + 1, entry_hash(head.hash, record)
    inserted = db.execute(
        "INSERT INTO log (number, decided_at, size, hash, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (number, decided_at, len(record), digest, record.decode()),
    )
    if not inserted.rowcount:
        raise _damaged(f"there is an entry after its head, {head.number}")
    db.execute("UPDATE chain SET number = ?, hash = ? WHERE chain = ? AND name = 'head'", (number, digest, chain))
    count_kept(db, chain, "traces", 0 if decided_at is None else 1, len(record))
    return number


def read_head(db: Transaction, chain: int) -> Head:
    """Return the head of a chain, which the next entry follows. Raises `StoreError` if it is invalid."""
    row = db.execute("SELECT number, hash FROM chain WHERE chain = ? AND name = 'head'", (chain,)).fetchone()
    if row is None:
        raise _damaged("its head is missing")
    number, digest = row
    start = chain_start(chain)
    if type(number) is not int or not start.number <= number < start.number + CHAIN_SIZE - 1:
        raise _damaged("the number of its head is invalid")
    if type(digest) is not bytes or len(digest) != len(start.hash):
        raise _damaged("the hash of its head is invalid")
    return Head(number, digest)


def _damaged(why: str) -> StoreError:
    """Return the error for a log that was tampered with. Nothing is appended to such a log."""
    return StoreError(
        f"the decision log is damaged ({why}): 'hestiaos audit verify' shows where; use another store to continue",
        problem="damaged",
    )

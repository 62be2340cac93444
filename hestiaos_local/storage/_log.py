"""The decision log: records of what was decided and how it ended, appended to a hash chain."""

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
    head = read_head(db, chain)
    number, digest = head.number + 1, entry_hash(head.hash, record)
    inserted = db.execute(
        "INSERT INTO log (number, decided_at, size, hash, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (number, decided_at, len(record), digest, record.decode()),
    )
    if not inserted.rowcount:
        raise _damaged(f"there is an entry after the noted end, {head.number}")
    db.execute("UPDATE chain SET number = ?, hash = ? WHERE chain = ? AND name = 'head'", (number, digest, chain))
    count_kept(db, chain, "traces", 0 if decided_at is None else 1, len(record))
    return number


def read_head(db: Transaction, chain: int) -> Head:
    """The noted end of a chain, which the next entry follows. Raises `StoreError` where it cannot be one."""
    row = db.execute("SELECT number, hash FROM chain WHERE chain = ? AND name = 'head'", (chain,)).fetchone()
    if row is None:
        raise _damaged("its end is not noted")
    number, digest = row
    start = chain_start(chain)
    if type(number) is not int or not start.number <= number < start.number + CHAIN_SIZE - 1:
        raise _damaged("the number of its noted end is not one")
    if type(digest) is not bytes or len(digest) != len(start.hash):
        raise _damaged("the hash of its noted end is not one")
    return Head(number, digest)


def _damaged(why: str) -> StoreError:
    """Somebody has changed it: nothing is written after what is not known."""
    return StoreError(
        f"the decision log is damaged ({why}): 'hestiaos audit verify' says where; choose another store to go on",
        problem="damaged",
    )

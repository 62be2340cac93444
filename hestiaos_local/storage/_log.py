"""Append decisions and their outcomes to the hash chain of the decision log."""

from __future__ import annotations

import attrs

from hestiaos_local.governance import CHAIN_SIZE, Head, chain_start, entry_hash
from hestiaos_local.storage._database import Database, Statement, Transaction
from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage._records import Outcome, TraceRecord
from hestiaos_local.storage._retention import kept_counted
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


def append_decided(head: Head, trace: TraceRecord, record: bytes) -> tuple[Head, list[Statement]]:
    """Return the new head of a chain to which a trace's first record is appended, and the statements that append it."""
    end, statements = _append(head, record, trace.decided_at)
    values = end.number, trace.trace_id, trace.decision
    return end, [*statements, ("INSERT INTO traces (number, trace_id, decision) VALUES (?, ?, ?)", values)]


def append_finished(head: Head, trace_id: str, record: bytes) -> tuple[Head, list[Statement]]:
    """Do the same for the second record of a trace that has none."""
    end, statements = _append(head, record, None)
    return end, [*statements, ("UPDATE traces SET finished = ? WHERE trace_id = ?", (end.number, trace_id))]


def _append(head: Head, record: bytes, decided_at: float | None) -> tuple[Head, list[Statement]]:
    end = Head(head.number + 1, entry_hash(head.hash, record))
    chain = end.number // CHAIN_SIZE
    return end, [
        (
            "INSERT INTO log (number, decided_at, size, hash, record) VALUES (?, ?, ?, ?, ?)",
            (end.number, decided_at, len(record), end.hash, record.decode()),
        ),
        ("UPDATE chain SET number = ?, hash = ? WHERE chain = ? AND name = 'head'", (end.number, end.hash, chain)),
        kept_counted(chain, "traces", 0 if decided_at is None else 1, len(record)),
    ]


def read_head(database: Database, db: Transaction) -> Head:
    """Return the head of this process's chain, which the next entry follows. Raises `StoreError` if it is invalid.

    `db` is a transaction that appends.
    """
    row = database.head(db)
    if row is None:
        raise _damaged("its head is missing")
    chain, number, digest, followed = row
    start = chain_start(chain)
    if type(number) is not int or not start.number <= number < start.number + CHAIN_SIZE - 1:
        raise _damaged("the number of its head is invalid")
    if type(digest) is not bytes or len(digest) != len(start.hash):
        raise _damaged("the hash of its head is invalid")
    if followed:
        raise _damaged(f"there is an entry after its head, {number}")
    return Head(number, digest)


def _damaged(why: str) -> StoreError:
    """Return the error for a log that was tampered with. Nothing is appended to such a log."""
    return StoreError(
        f"the decision log is damaged ({why}): 'hestiaos audit verify' shows where; use another store to continue",
        problem="damaged",
    )

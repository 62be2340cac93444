"""The traces of a store: the decision log, and an index of each trace's records in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hestiaos_local.governance import CHAIN_SIZE, Head, chain_start
from hestiaos_local.storage._database import PROBE, Database, Statement, Transaction, execute_together
from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage._log import append_decided, append_finished, decided_record, finished_record, read_head
from hestiaos_local.storage._records import Outcome, TraceRecord
from hestiaos_proto import json

if TYPE_CHECKING:
    from hestiaos_local.governance import LogEntry, LogPage

__all__ = ["Traces"]

_PAGE_BYTES = 1024**2
_COUNT_DECISION = (
    "INSERT INTO decisions (decision, chain, taken) VALUES (?, ?, 1) "
    "ON CONFLICT (decision, chain) DO UPDATE SET taken = decisions.taken + 1"
)


class Traces:
    """The traces stored in `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        record = database.dialect.record.format
        self._select = (
            f"SELECT {record('decided.record')}, {record('finished.record')} "
            "FROM traces JOIN log AS decided USING (number) "
            "LEFT JOIN log AS finished ON finished.number = traces.finished"
        )
        self._select_unfinished = (
            f"SELECT number FROM traces WHERE trace_id = ? AND finished IS NULL {database.dialect.for_update}"
        )

    def add(self, trace: TraceRecord) -> None:
        """Store a decision, and its outcome if the trace already has one."""
        decided = decided_record(trace)
        finished = None if trace.outcome is None else finished_record(trace.trace_id, trace.outcome)
        with self._database.write(appends=True) as db:
            end, statements = append_decided(read_head(self._database, db), trace, decided)
            self._execute(db, [*statements, (_COUNT_DECISION, (trace.decision, self._database.chain))])
            if finished is not None:
                _, statements = append_finished(end, trace.trace_id, finished)
                self._execute(db, statements)

    def finish(self, trace_id: str, outcome: Outcome) -> bool:
        """Store the outcome of a trace. Return False if the trace already has one, or was deleted."""
        record = finished_record(trace_id, outcome)
        with self._database.write(durable=False, appends=True) as db:
            unfinished = db.execute(self._select_unfinished, (trace_id,))
            head = read_head(self._database, db)
            if not unfinished.fetchall():
                return False
            _, statements = append_finished(head, trace_id, record)
            self._execute(db, statements)
            return True

    def works(self) -> bool:
        """Return whether an entry can be appended to the log: whether it can be written, and its head is valid."""
        try:
            with self._database.write(durable=False, appends=True, busy_timeout=PROBE) as db:
                read_head(self._database, db)
        except StoreError:
            return False
        return True

    def get(self, trace_id: str) -> TraceRecord | None:
        """Return the trace with this id, or None if there is none."""
        with self._database.read() as db:
            row = db.execute(f"{self._select} WHERE trace_id = ?", (trace_id,)).fetchone()
        return None if row is None else self._trace(*row)

    def newest(self, limit: int, decision: str | None, before: str | None) -> list[TraceRecord]:
        """Return up to `limit` traces, newest first, optionally of one decision, or older than the trace `before`."""
        conditions = ["1 = 1"]
        if decision is not None:
            conditions.append("decision = :decision")
        if before is not None:
            conditions.append("traces.rowid < (SELECT rowid FROM traces WHERE trace_id = :before)")
        with self._database.read() as db:
            rows = db.execute(
                f"{self._select} WHERE {' AND '.join(conditions)} ORDER BY traces.rowid DESC LIMIT :limit",
                {"limit": max(0, limit), "decision": decision, "before": before},
            ).fetchall()
        return [self._trace(*row) for row in rows]

    def decisions(self, newest: int | None) -> dict[str, int]:
        """Count the traces of each decision, including deleted ones, or only among the `newest` stored ones."""
        with self._database.read() as db:
            if newest is None:
                taken = db.execute("SELECT decision, sum(taken) FROM decisions GROUP BY decision").fetchall()
            else:
                taken = db.execute(
                    "SELECT decision, count(*) FROM "
                    "(SELECT decision FROM traces ORDER BY rowid DESC LIMIT ?) AS newest GROUP BY decision",
                    (max(0, newest),),
                ).fetchall()
        return {decision: int(count) for decision, count in taken}

    def page(self, after: int, limit: int) -> LogPage:
        """Return a page of the log: up to `limit` entries of one chain after this number, of about 1 MiB at most."""
        from hestiaos_local.governance import LogEntry, LogPage  # an execution does not read the log

        chain = after // CHAIN_SIZE
        start = chain_start(chain)
        places: dict[str, Head] = {}
        entries: list[LogEntry] = []
        size = 0
        following_chain: int | None = None
        selected = {"chain": chain, "after": after, "until": start.number + CHAIN_SIZE, "limit": limit + 1}
        with self._database.read() as db:
            rows = db.execute(self._database.dialect.log_page, selected | {"size": _PAGE_BYTES})
            for name, number, digest, record, indexed in rows:
                if name == "next":
                    following_chain = number
                elif name is not None:
                    places[name] = Head(number, digest)
                elif len(entries) == limit or size >= _PAGE_BYTES:
                    following: int | None = entries[-1].number
                    break
                else:
                    entries.append(LogEntry(number, record, digest, bool(indexed)))
                    size += len(record)
            else:
                following = None if following_chain is None else chain_start(following_chain).number
            rows.close()  # the loop may have stopped early
        anchor, head = places.get("anchor", start), places.get("head", start)
        return LogPage(anchor, head, tuple(entries), following, chain, has_head="head" in places)

    def _execute(self, db: Transaction, statements: Sequence[Statement]) -> None:
        execute_together(self._database.dialect, db, statements)

    def _trace(self, decided: bytes, finished: bytes | None) -> TraceRecord:
        try:
            record = json.loads(decided)
            outcome = None if finished is None else Outcome(**json.loads(finished)["outcome"])
            return TraceRecord(record["trace_id"], record["decision"], record["decided_at"], record["facts"], outcome)
        except (KeyError, TypeError, ValueError) as error:  # it was tampered with
            raise StoreError(
                f"a record of the decision log in {self._database.name} is damaged ({error!r}): verify the log",
                problem="damaged",
            ) from None

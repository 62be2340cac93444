"""The traces of a store: the decision log, and where in it each trace is."""

from __future__ import annotations

from hestiaos_local.governance import START, Head, LogEntry, LogPage
from hestiaos_local.storage._database import Database
from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage._log import append_decided, append_finished, decided_record, finished_record
from hestiaos_local.storage._records import Outcome, TraceRecord
from hestiaos_proto import json

__all__ = ["Traces"]

_SELECT = (
    "SELECT CAST(decided.record AS BLOB), CAST(finished.record AS BLOB) FROM traces JOIN log AS decided USING (number) "
    "LEFT JOIN log AS finished ON finished.number = traces.finished"
)

_BEFORE = "traces.number < (SELECT number FROM traces WHERE trace_id = :before)"
_PAGE_BYTES = 1024**2

# One statement, so that it is one state of the log. Whatever was put into it can be read as bytes. The last column is
# whether the index finds an entry: a decision by its trace, and an outcome by the trace that it ends, if that is kept.
_SELECT_PAGE = """
SELECT name, CAST(number AS INTEGER), CAST(hash AS BLOB), NULL, NULL FROM chain
UNION ALL SELECT * FROM (
    SELECT NULL, log.number, CAST(hash AS BLOB), CAST(record AS BLOB), CASE
        WHEN NOT json_valid(record) THEN 1
        WHEN size IS NOT length(CAST(record AS BLOB)) THEN 0
        WHEN decided_at IS NULL THEN traces.number IS NULL AND NOT EXISTS (
            SELECT 1 FROM traces AS ended
            WHERE ended.trace_id = json_extract(record, '$.trace_id') AND ended.finished IS NOT log.number)
        ELSE traces.trace_id IS json_extract(record, '$.trace_id')
            AND traces.decision IS json_extract(record, '$.decision')
            AND abs(decided_at - json_extract(record, '$.decided_at')) < 0.001
    END
    FROM log LEFT JOIN traces USING (number) WHERE log.number > ? ORDER BY log.number LIMIT ?)
"""


class Traces:
    """Keeps them in `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, trace: TraceRecord) -> None:
        """Keep what was decided, and the outcome where there is one already."""
        decided = decided_record(trace)
        finished = None if trace.outcome is None else finished_record(trace.trace_id, trace.outcome)
        with self._database.write() as db:
            append_decided(db, trace, decided)
            if finished is not None:
                append_finished(db, trace.trace_id, finished)
            db.execute(
                "INSERT INTO decisions (decision, taken) VALUES (?, 1) "
                "ON CONFLICT (decision) DO UPDATE SET taken = taken + 1",
                (trace.decision,),
            )

    def finish(self, trace_id: str, outcome: Outcome) -> bool:
        """Keep the outcome. False where there is one already, or the trace is not kept any more."""
        record = finished_record(trace_id, outcome)
        with self._database.write(durable=False) as db:
            return append_finished(db, trace_id, record)

    def get(self, trace_id: str) -> TraceRecord | None:
        """One trace."""
        with self._database.read() as db:
            row = db.execute(f"{_SELECT} WHERE trace_id = ?", (trace_id,)).fetchone()
        return None if row is None else self._trace(*row)

    def newest(self, limit: int, decision: str | None, before: str | None) -> list[TraceRecord]:
        """The newest, the newest first: of one decision, from before a trace."""
        with self._database.read() as db:
            rows = db.execute(
                f"{_SELECT} WHERE (:decision IS NULL OR decision = :decision) AND (:before IS NULL OR {_BEFORE}) "
                "ORDER BY traces.number DESC LIMIT :limit",
                {"limit": max(0, limit), "decision": decision, "before": before},
            ).fetchall()
        return [self._trace(*row) for row in rows]

    def decisions(self, newest: int | None) -> dict[str, int]:
        """How often each decision was taken: ever, or in the newest so many."""
        with self._database.read() as db:
            if newest is None:
                return dict(db.execute("SELECT decision, taken FROM decisions").fetchall())
            return dict(
                db.execute(
                    "SELECT decision, count(*) FROM (SELECT decision FROM traces ORDER BY number DESC LIMIT ?) "
                    "GROUP BY decision",
                    (max(0, newest),),
                ).fetchall()
            )

    def page(self, after: int, limit: int) -> LogPage:
        """A page of the log: its first entries after this number, up to `limit`, or until they have 1 MiB."""
        places: dict[str, Head] = {}
        entries: list[LogEntry] = []
        size = 0
        with self._database.read() as db:
            rows = db.execute(_SELECT_PAGE, (after, limit + 1))
            for name, number, digest, record, indexed in rows:
                if name is not None:
                    places[name] = Head(number, digest)
                    continue
                if more := len(entries) == limit or size >= _PAGE_BYTES:
                    break
                entries.append(LogEntry(number, record, digest, bool(indexed)))
                size += len(record)
            else:
                more = False
            rows.close()  # the last ones were not looked at
        return LogPage(places.get("anchor", START), places.get("head", START), tuple(entries), more)

    def _trace(self, decided: bytes, finished: bytes | None) -> TraceRecord:
        try:
            record = json.loads(decided)
            outcome = None if finished is None else Outcome(**json.loads(finished)["outcome"])
            return TraceRecord(record["trace_id"], record["decision"], record["decided_at"], record["facts"], outcome)
        except (KeyError, TypeError, ValueError) as error:  # somebody has changed it
            raise StoreError(
                f"a record of the decision log in {self._database.name} is damaged ({error!r}): verify the log",
                problem="damaged",
            ) from None

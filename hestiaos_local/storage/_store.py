"""The platform's store: in memory, in one SQLite file, or in a PostgreSQL database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hestiaos_local.storage._approvals import Approvals
from hestiaos_local.storage._opening import open_database
from hestiaos_local.storage._records import (
    Approval,
    ApprovalStatus,
    Claim,
    Message,
    Outcome,
    Retention,
    Session,
    TraceRecord,
)
from hestiaos_local.storage._results import Results
from hestiaos_local.storage._retention import counted, prune_batch
from hestiaos_local.storage._sessions import Sessions
from hestiaos_local.storage._traces import Traces
from hestiaos_local.storage._vault import VARIABLE, Vault

if TYPE_CHECKING:
    from hestiaos_local.governance import Charge, CounterUse, Exhausted, Limit, LogPage, Reservation
    from hestiaos_local.storage._counters import Counters

__all__ = ["Store"]


class Store:
    """The store of a platform: the SQLite file at `path`, which is created if it is missing, or memory if it is None.

    Only this user may read the file and the directories created for it. Several threads, processes and both sides of a
    fork may use it at once: readers do not wait, a writer waits for the others, up to `busy_timeout` seconds. With a
    `key`, by default the value of `HESTIAOS_STORE_KEY`, secrets are encrypted in the file, including those already in
    it.

    If `path` is the URL of a PostgreSQL database, `postgresql://…` (extra `postgres`), the store is the schema
    `hestiaos` of that database, which the platforms of several machines may share. Pass the password in `PGPASSWORD` or
    `~/.pgpass`, not in the URL.

    Raises `StoreError` for a file or database that cannot be used, which is not changed. So does every method, if it
    becomes unusable later. `Storage` documents the methods.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, key: str | None = None, busy_timeout: float = 5.0
    ) -> None:
        self._database = open_database(path, busy_timeout)
        self.kind: str = self._database.kind
        self.blocking: bool = self._database.kind != "memory"
        self._results = Results(self._database)
        self._traces = Traces(self._database)
        self._approvals = Approvals(self._database)
        self._sessions = Sessions(self._database)
        try:
            self._vault = Vault(self._database, _key(key) if self.blocking else None)
        except BaseException:
            self._database.close()
            raise

    @property
    def _counters(self) -> Counters:
        from hestiaos_local.storage._counters import Counters  # a policy without limits counts nothing

        return Counters(self._database)

    def close(self) -> None:
        self._database.close()

    def works(self) -> bool:
        return self._database.works() and self._traces.works()

    def claim(self, key: str, fingerprint: str, *, now: float, lease: float) -> Claim:
        return self._results.claim(key, fingerprint, now, lease)

    def finish(self, key: str, token: int, result: Any) -> bool:
        return self._results.finish(key, token, result)

    def abandon(self, key: str, token: int) -> None:
        self._results.abandon(key, token)

    def reserve(self, charges: Sequence[Charge], *, now: float) -> Reservation | Exhausted:
        return self._counters.reserve(charges, now)

    def settle(self, reservation: Reservation, *, tokens: int) -> None:
        self._counters.settle(reservation, tokens)

    def usage(self, limits: Sequence[Limit], *, now: float) -> list[CounterUse]:
        return self._counters.usage(limits, now)

    def add_trace(self, trace: TraceRecord) -> None:
        self._traces.add(trace)

    def finish_trace(self, trace_id: str, outcome: Outcome) -> bool:
        return self._traces.finish(trace_id, outcome)

    def trace(self, trace_id: str) -> TraceRecord | None:
        return self._traces.get(trace_id)

    def traces(self, *, limit: int = 100, decision: str | None = None, before: str | None = None) -> list[TraceRecord]:
        return self._traces.newest(limit, decision, before)

    def decisions(self, newest: int | None = None) -> dict[str, int]:
        return self._traces.decisions(newest)

    def log(self, *, after: int = 0, limit: int = 1000) -> LogPage:
        return self._traces.page(after, limit)

    def add_approval(self, approval: Approval, *, now: float) -> Approval:
        return self._approvals.add(approval, now)

    def approval(self, approval_id: str, *, now: float) -> Approval | None:
        return self._approvals.get(approval_id, now)

    def approvals(self, *, now: float, status: ApprovalStatus | None = None, limit: int = 100) -> list[Approval]:
        return self._approvals.newest(now, status, limit)

    def decide_approval(self, approval_id: str, approve: bool, *, by: str, now: float) -> bool:
        return self._approvals.decide(approval_id, approve, by, now)

    def use_approval(self, call_hash: str, *, now: float) -> Approval | None:
        return self._approvals.use(call_hash, now)

    def release_approval(self, approval_id: str) -> None:
        self._approvals.release(approval_id)

    def add_messages(self, session_id: str, messages: Iterable[Message], *, now: float) -> None:
        self._sessions.add_messages(session_id, messages, now)

    def messages(self, session_id: str, *, last: int | None = None) -> list[Message]:
        return self._sessions.messages(session_id, last)

    def session(self, session_id: str) -> Session | None:
        return self._sessions.get(session_id)

    def sessions(self, *, limit: int = 100, after: Session | None = None) -> list[Session]:
        return self._sessions.page(limit, after)

    def delete_session(self, session_id: str) -> bool:
        return self._sessions.delete(session_id)

    def active_sessions(self, since: float) -> int:
        return self._sessions.active(since)

    def secret(self, key: str) -> str | None:
        return self._vault.get(key)

    def set_secret(self, key: str, value: str, provider: str) -> None:
        self._vault.set(key, value, provider)

    def delete_secret(self, key: str) -> bool:
        return self._vault.delete(key)

    def secret_values(self) -> list[str]:
        return self._vault.values()

    def secret_names(self) -> list[str]:
        return self._vault.names()

    def prune(self, retention: Retention, *, now: float) -> int:
        deleted = 0
        for kind in ("traces", "sessions", "results", "approvals"):
            while True:
                with self._database.write(durable=False) as db:
                    batch = prune_batch(self._database, db, kind, retention, now)
                if not batch:
                    break
                deleted += counted(batch)
        self._results.delete_void(now)
        return deleted


def _key(given: str | None) -> str | None:
    return (os.environ.get(VARIABLE) if given is None else given) or None

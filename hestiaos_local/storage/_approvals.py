"""The approvals table: each approval allows one call, once."""

from __future__ import annotations

from attrs import evolve

from hestiaos_local.storage._database import Database
from hestiaos_local.storage._records import Approval, ApprovalStatus
from hestiaos_local.storage._retention import count_kept
from hestiaos_proto import json

__all__ = ["Approvals"]

# An approval past its expiry is shown as expired, unless it was denied or used.
_SHOWN = "CASE WHEN status IN ('pending', 'approved') AND expires_at <= :now THEN 'expired' ELSE status END"
_SELECT = (
    f"SELECT id, call_hash, created_at, expires_at, facts, {_SHOWN} AS shown, decided_by, decided_at FROM approvals"
)


class Approvals:
    """The approvals stored in `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, approval: Approval, now: float) -> Approval:
        """Request an approval. Return the earlier one for the same call if it is neither used nor expired."""
        facts = json.dumps(dict(approval.facts)).decode()
        size = len(facts.encode())
        with self._database.write(f"approval {approval.call_hash}") as db:
            row = db.execute(
                f"{_SELECT} WHERE call_hash = :call_hash AND status != 'used' AND expires_at > :now "
                "ORDER BY number DESC LIMIT 1",
                {"call_hash": approval.call_hash, "now": now},
            ).fetchone()
            if row is not None:
                return _approval(*row)
            db.execute(
                "INSERT INTO approvals (id, call_hash, created_at, expires_at, facts, status, size) "
                "VALUES (?, ?, ?, ?, ?, 'pending', ?)",
                (approval.id, approval.call_hash, approval.created_at, approval.expires_at, facts, size),
            )
            count_kept(db, self._database.chain, "approvals", 1, size)
        return evolve(approval, status="pending", decided_by=None, decided_at=None)

    def get(self, approval_id: str, now: float) -> Approval | None:
        """Return the approval with this id, or None if there is none."""
        with self._database.read() as db:
            row = db.execute(f"{_SELECT} WHERE id = :id", {"id": approval_id, "now": now}).fetchone()
        return None if row is None else _approval(*row)

    def newest(self, now: float, status: ApprovalStatus | None, limit: int) -> list[Approval]:
        """Return up to `limit` approvals, newest first, optionally only those with `status`."""
        where = "" if status is None else f"WHERE {_SHOWN} = :status"
        with self._database.read() as db:
            rows = db.execute(
                f"{_SELECT} {where} ORDER BY number DESC LIMIT :limit",
                {"now": now, "status": status, "limit": max(0, limit)},
            ).fetchall()
        return [_approval(*row) for row in rows]

    def decide(self, approval_id: str, approve: bool, by: str, now: float) -> bool:
        """Approve or deny an approval. Return False if it is not pending."""
        with self._database.write() as db:
            return (
                db.execute(
                    "UPDATE approvals SET status = ?, decided_by = ?, decided_at = ? "
                    "WHERE id = ? AND status = 'pending' AND expires_at > ?",
                    ("approved" if approve else "denied", by, now, approval_id, now),
                ).rowcount
                == 1
            )

    def use(self, call_hash: str, now: float) -> Approval | None:
        """Use the approval of this call, which is possible once. Return None if there is no approved one."""
        with self._database.write(f"approval {call_hash}") as db:
            number = db.execute(
                "SELECT number FROM approvals WHERE call_hash = ? AND status = 'approved' AND expires_at > ? LIMIT 1",
                (call_hash, now),
            ).fetchone()
            if number is None:
                return None
            db.execute("UPDATE approvals SET status = 'used' WHERE number = ?", number)
            row = db.execute(f"{_SELECT} WHERE number = :number", {"number": number[0], "now": now}).fetchone()
        return _approval(*row)

    def release(self, approval_id: str) -> None:
        """Undo the use of an approval."""
        with self._database.write() as db:
            db.execute("UPDATE approvals SET status = 'approved' WHERE id = ? AND status = 'used'", (approval_id,))


def _approval(
    approval_id: str,
    call_hash: str,
    created_at: float,
    expires_at: float,
    facts: str,
    status: ApprovalStatus,
    decided_by: str | None,
    decided_at: float | None,
) -> Approval:
    return Approval(
        id=approval_id,
        call_hash=call_hash,
        created_at=created_at,
        expires_at=expires_at,
        facts=json.loads(facts.encode()),
        status=status,
        decided_by=decided_by,
        decided_at=decided_at,
    )

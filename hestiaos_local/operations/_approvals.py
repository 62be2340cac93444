"""The operations on approvals: list the calls that wait for a person's decision, and decide."""

from __future__ import annotations

from collections.abc import Callable

from hestiaos_local.decisions import iso
from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_local.storage import Approval as StoredApproval
from hestiaos_local.storage import Storage
from hestiaos_proto import Approval, NotFound, StatusError

__all__ = ["approval_operations"]


def approval_operations(storage: Storage, clock: Callable[[], float]) -> Answers:
    """Return the operations on the approvals of a storage."""

    def list_approvals(arguments: Arguments, key: str | None) -> list[Approval]:
        found = storage.approvals(now=clock(), status=arguments["status"], limit=arguments["limit"])
        return [_info(each) for each in found]

    def decide_approval(arguments: Arguments, key: str | None) -> Approval:
        """Decide on an approval. Repeating a decision is not an error, as the first response may have been lost."""
        approval_id, approve, now = arguments["approval_id"], arguments["approve"], clock()
        decided = storage.decide_approval(approval_id, approve, by=key or "", now=now)
        found = storage.approval(approval_id, now=now)
        if found is None:
            raise NotFound(f"there is no approval {approval_id!r}")
        if not decided and found.status not in (("approved", "used") if approve else ("denied",)):
            raise StatusError(_DECIDED_MESSAGES[found.status], status_code=409, code="APPROVAL_DECIDED")
        return _info(found)

    return {"list_approvals": list_approvals, "decide_approval": decide_approval}


_DECIDED_MESSAGES = {
    "pending": "the approval has expired",  # between reading and deciding
    "approved": "the approval was approved already",
    "denied": "the approval was denied already",
    "used": "the approval was approved already, and its call was made",
    "expired": "the approval has expired: make the call again to request a new one",
}


def _info(approval: StoredApproval) -> Approval:
    return Approval.from_wire(
        {
            **approval.facts,
            "approval_id": approval.id,
            "status": approval.status,
            "created": iso(approval.created_at),
            "expires": iso(approval.expires_at),
            "by": approval.decided_by or None,
        }
    )

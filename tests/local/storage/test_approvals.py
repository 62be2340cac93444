"""An approval lets one call pass, once, before it expires."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hestiaos_local.storage import Approval, Retention, Storage


def asked(approval_id: str = "a", call_hash: str = "call", now: float = 100.0, **more: Any) -> Approval:
    return Approval(id=approval_id, call_hash=call_hash, created_at=now, expires_at=now + 60.0, **more)


def test_an_approved_call_passes_once(storage: Storage) -> None:
    approval = asked(facts={"rule": "no-wiping", "text": "é\0"})
    assert storage.add_approval(approval, now=100.0) == approval
    assert storage.use_approval("call", now=101.0) is None
    assert storage.decide_approval("a", True, by="alice", now=102.0) is True
    assert storage.use_approval("another call", now=103.0) is None
    used = storage.use_approval("call", now=103.0)
    assert used == asked(facts=approval.facts, status="used", decided_by="alice", decided_at=102.0)
    assert storage.use_approval("call", now=103.0) is None
    assert storage.approval("a", now=1000.0) == used


def test_a_denied_call_does_not_pass(storage: Storage) -> None:
    storage.add_approval(asked(), now=100.0)
    assert storage.decide_approval("a", False, by="alice", now=102.0) is True
    assert storage.decide_approval("a", True, by="bob", now=103.0) is False
    assert storage.use_approval("call", now=104.0) is None
    denied = storage.approval("a", now=104.0)
    assert denied is not None
    assert (denied.status, denied.decided_by) == ("denied", "alice")


def test_after_its_time_it_is_expired(storage: Storage) -> None:
    storage.add_approval(asked("a"), now=100.0)
    storage.add_approval(asked("b", "other"), now=100.0)
    storage.decide_approval("b", True, by="alice", now=159.0)
    assert storage.decide_approval("a", True, by="alice", now=160.0) is False
    assert storage.use_approval("other", now=160.0) is None
    assert [approval.status for approval in storage.approvals(now=160.0)] == ["expired", "expired"]
    assert [approval.status for approval in storage.approvals(now=159.0)] == ["approved", "pending"]


def test_the_same_call_is_asked_for_once(storage: Storage) -> None:
    storage.add_approval(asked("a"), now=100.0)
    assert storage.add_approval(asked("b", now=110.0), now=110.0).id == "a"
    storage.decide_approval("a", False, by="alice", now=110.0)
    assert storage.add_approval(asked("b", now=110.0), now=110.0).status == "denied"
    assert storage.add_approval(asked("b", now=160.0), now=160.0).id == "b"
    storage.decide_approval("b", True, by="alice", now=160.0)
    assert storage.add_approval(asked("c", now=160.0), now=160.0).id == "b"
    storage.use_approval("call", now=160.0)
    assert storage.add_approval(asked("c", now=160.0), now=160.0).id == "c"


def test_an_unknown_one(storage: Storage) -> None:
    assert storage.approval("a", now=0.0) is None
    assert storage.decide_approval("a", True, by="alice", now=0.0) is False


def test_the_newest_of_a_status(storage: Storage) -> None:
    for number in range(4):
        storage.add_approval(asked(f"a{number}", f"call {number}"), now=100.0)
    storage.decide_approval("a1", True, by="alice", now=100.0)
    assert [each.id for each in storage.approvals(now=100.0)] == ["a3", "a2", "a1", "a0"]
    assert [each.id for each in storage.approvals(now=100.0, status="pending")] == ["a3", "a2", "a0"]
    assert [each.id for each in storage.approvals(now=100.0, status="pending", limit=2)] == ["a3", "a2"]
    assert [each.id for each in storage.approvals(now=100.0, status="approved")] == ["a1"]
    assert len(storage.approvals(now=160.0, status="expired")) == 4
    assert storage.approvals(now=100.0, status="pending", limit=0) == []


def test_one_of_many_threads_uses_it(storage: Storage) -> None:
    storage.add_approval(asked(), now=100.0)
    storage.decide_approval("a", True, by="alice", now=100.0)
    with ThreadPoolExecutor(16) as pool:
        used = list(pool.map(lambda _: storage.use_approval("call", now=100.0), range(50)))
    assert sum(each is not None for each in used) == 1


@pytest.mark.parametrize(
    ("retention", "left"), [(Retention(max_age=5.0), "34"), (Retention(max_count=1), "4"), (Retention(), "01234")]
)
def test_retention(storage: Storage, retention: Retention, left: str) -> None:
    for number in range(5):
        now = 100.0 + number
        storage.add_approval(asked(f"a{number}", f"call {number}", now=now), now=now)
    assert storage.prune(retention, now=108.0) == 5 - len(left)
    assert storage.prune(retention, now=108.0) == 0
    assert [each.id for each in reversed(storage.approvals(now=108.0))] == [f"a{number}" for number in left]

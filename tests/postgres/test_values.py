"""Texts that PostgreSQL would not take or would order otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_local.governance import Charge, Limit, Reservation
from hestiaos_local.storage import Approval, Claimed, Finished, Outcome, Store, verify_log
from tests.support.storages import trace

NAMES = ["", "\0", "\0\0", "\1", "\1\1", "\1\2", "\2", "A", "B", "a", "é", "\uffff", "😀"]


def test_names_of_any_characters_in_the_order_of_their_code_points(store: Store) -> None:
    for number, name in reversed(list(enumerate(NAMES))):
        store.set_secret(name, name, name)
        store.add_messages(name, [{"content": name}], now=1.0)
        store.add_trace(trace(str(number), text=name))
        assert store.finish_trace(str(number), Outcome("completed", output=name)) is True
    assert store.secret_names() == NAMES
    assert [store.secret(name) for name in NAMES] == NAMES
    assert [session.session_id for session in store.sessions()] == NAMES[::-1]
    assert store.sessions(after=store.session("A"))[0].session_id == "\2"
    assert [store.messages(name) for name in NAMES] == [[{"content": name}] for name in NAMES]
    assert [each.facts["text"] for each in store.traces()] == NAMES
    assert verify_log(store).faults == ()
    assert store.delete_session("\0") is True
    assert store.session("\0\0") is not None


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_subjects_of_any_characters(store: Store, name: str) -> None:
    claim = store.claim(name, name, now=1.0, lease=1.0)
    assert isinstance(claim, Claimed)
    store.finish(name, claim.token, name)
    assert store.claim(name, name, now=1.0, lease=1.0) == Finished(name)
    limit = Limit(name=name or "x", per="session", window=60.0, requests=1)
    charge = Charge(name=limit.name, per="session", subject=name, limit=limit)
    assert isinstance(store.reserve([charge], now=1.0), Reservation)
    assert not isinstance(store.reserve([charge], now=1.0), Reservation)
    assert [use.subject for use in store.usage([limit], now=1.0)] == [name]
    approval = Approval(id=name, call_hash=name, created_at=1.0, expires_at=9.0, facts={name: name})
    store.add_approval(approval, now=1.0)
    assert store.decide_approval(name, True, by=name, now=2.0) is True
    used: Any = store.use_approval(name, now=3.0)
    assert (used.id, used.facts, used.decided_by) == (name, {name: name}, name)

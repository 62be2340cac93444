"""Whatever is done in whatever order, every storage answers as a model of plain dictionaries does."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hestiaos_local.storage import (
    Claimed,
    Conflict,
    Finished,
    InProgress,
    Message,
    Outcome,
    Retention,
    Session,
    Storage,
    verify_log,
)
from tests.support.broad import broadly
from tests.support.storages import STORAGES, trace

NAMES = st.sampled_from(["a", "b", "é\0", ""])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LEASE = 10.0
LIMITS = st.none() | st.integers(0, 40)


class StorageMachine(RuleBasedStateMachine):
    """Does the same to a storage and to the model; `now` is a clock that goes on by whole seconds."""

    kind: str

    def __init__(self) -> None:
        super().__init__()
        with ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            self.open = stack.enter_context(STORAGES[self.kind](Path(directory)))
            self.stack = stack.pop_all()  # the storage is there, and not skipped
        self.storage: Storage = self.open()
        self.now = 0.0
        self.claims: dict[str, dict[str, Any]] = {}  # in the order of their claims
        self.traces: dict[str, dict[str, Any]] = {}
        self.decisions: list[str] = []
        self.sessions: dict[str, tuple[float, list[Message]]] = {}
        self.secrets: dict[str, str] = {}

    @initialize()
    def nothing_is_there(self) -> None:
        assert self.storage.works()

    def teardown(self) -> None:
        self.stack.close()

    @rule(seconds=st.sampled_from([1, 5, int(LEASE)]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def open_again(self) -> None:
        if self.storage.kind != "memory":
            self.storage.close()
            self.storage = self.open()

    # Idempotency.

    @rule(key=NAMES, fingerprint=st.sampled_from("fg"))
    def claim(self, key: str, fingerprint: str) -> None:
        claimed = self.storage.claim(key, fingerprint, now=self.now, lease=LEASE)
        known = self.claims.get(key)
        if known is None or ("result" not in known and known["until"] <= self.now):
            assert isinstance(claimed, Claimed)
            self.claims.pop(key, None)
            self.claims[key] = {
                "token": claimed.token,
                "fingerprint": fingerprint,
                "at": self.now,
                "until": self.now + LEASE,
            }
        elif known["fingerprint"] != fingerprint:
            assert claimed == Conflict()
        elif "result" in known:
            assert claimed == Finished(known["result"])
        else:
            assert claimed == InProgress(min(max(1.0, self.now - known["at"]), known["until"] - self.now))

    @rule(key=NAMES, result=TEXTS, wrong=st.booleans())
    def finish(self, key: str, result: str, wrong: bool) -> None:
        known = self.claims.get(key, {"token": 0, "result": ""})
        ours = "result" not in known and not wrong
        assert self.storage.finish(key, known["token"] + wrong, result) is ours
        if ours:
            known["result"] = result

    @rule(key=NAMES)
    def abandon(self, key: str) -> None:
        known = self.claims.get(key, {"token": 0, "result": ""})
        self.storage.abandon(key, known["token"])
        if "result" not in known:
            del self.claims[key]

    # Traces.

    @rule(decision=st.sampled_from(["ALLOW", "BLOCK"]), text=TEXTS)
    def add_trace(self, decision: str, text: str) -> None:
        trace_id = f"t{len(self.decisions)}"
        self.storage.add_trace(trace(trace_id, decision, self.now, text))
        self.decisions.append(decision)
        self.traces[trace_id] = {"decision": decision, "at": self.now, "text": text}

    @rule(data=st.data(), output=TEXTS)
    def finish_trace(self, data: st.DataObject, output: str) -> None:
        trace_id = data.draw(st.sampled_from([*self.traces, "unknown"]))
        known = self.traces.get(trace_id)
        new = known is not None and "outcome" not in known
        outcome = Outcome("completed", output=output)
        assert self.storage.finish_trace(trace_id, outcome) is new
        if known is not None and new:
            known["outcome"] = outcome

    # Sessions.

    @rule(session_id=NAMES, texts=st.lists(TEXTS, max_size=3))
    def add_messages(self, session_id: str, texts: list[str]) -> None:
        messages = [{"role": "user", "content": text} for text in texts]
        self.storage.add_messages(session_id, messages, now=self.now)
        _, before = self.sessions.get(session_id, (0.0, []))
        self.sessions[session_id] = (self.now, before + messages)

    @rule(session_id=NAMES)
    def delete_session(self, session_id: str) -> None:
        assert self.storage.delete_session(session_id) is (self.sessions.pop(session_id, None) is not None)

    # Secrets.

    @rule(name=NAMES, value=TEXTS)
    def set_secret(self, name: str, value: str) -> None:
        self.storage.set_secret(name, value, "custom")
        self.secrets[name] = value

    @rule(name=NAMES)
    def delete_secret(self, name: str) -> None:
        assert self.storage.delete_secret(name) is (self.secrets.pop(name, None) is not None)

    # Retention.

    @rule(max_age=LIMITS, max_count=st.none() | st.integers(0, 4))
    def prune(self, max_age: float | None, max_count: int | None) -> None:
        """Of the model, the sizes are not known; the tests of each storage try them."""
        deleted = self.storage.prune(Retention(max_age, max_count), now=self.now)
        results = {key: known for key, known in self.claims.items() if "result" in known}
        by_use = sorted(self.sessions, key=lambda session_id: (self.sessions[session_id][0], session_id.encode()))
        going = 0
        for oldest, times, whole in (
            (list(self.traces), [each["at"] for each in self.traces.values()], self.traces),
            (by_use, [self.sessions[each][0] for each in by_use], self.sessions),
            (list(results), [each["at"] for each in results.values()], self.claims),
        ):
            left = len(oldest)
            for name, time in zip(oldest, times, strict=True):
                too_old = max_age is not None and time < self.now - max_age
                if not too_old and (max_count is None or left <= max_count):
                    break
                del whole[name]
                left, going = left - 1, going + 1
        assert deleted == going
        for key, known in list(self.claims.items()):
            if "result" not in known and known["until"] <= self.now:
                del self.claims[key]

    @invariant()
    def all_is_as_in_the_model(self) -> None:
        storage = self.storage
        assert storage.decisions() == {each: self.decisions.count(each) for each in set(self.decisions)}
        newest = [each["decision"] for each in self.traces.values()][-3:]
        assert storage.decisions(newest=3) == {each: newest.count(each) for each in set(newest)}
        for trace_id, known in list(self.traces.items())[-5:]:
            found = storage.trace(trace_id)
            assert found is not None
            assert (found.decision, found.decided_at, found.facts) == (
                known["decision"],
                known["at"],
                {"text": known["text"]},
            )
            assert found.outcome == known.get("outcome")
        assert [each.trace_id for each in storage.traces(limit=5)] == list(self.traces)[:-6:-1]
        report = verify_log(storage)
        assert report.ok
        assert report.count >= len(self.traces)
        for session_id, (last_used, messages) in self.sessions.items():
            assert storage.session(session_id) == Session(session_id, last_used, len(messages))
            assert storage.messages(session_id) == messages
            assert storage.messages(session_id, last=2) == messages[-2:]
        assert {session.session_id for session in storage.sessions()} == set(self.sessions)
        since = self.now - 5
        assert storage.active_sessions(since) == sum(used >= since for used, _ in self.sessions.values())
        assert storage.secret_names() == sorted(self.secrets, key=str.encode)
        assert {name: storage.secret(name) for name in self.secrets} == self.secrets


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", broadly(STORAGES))
def test_a_storage_is_as_the_model(kind: str) -> None:
    machine = type("Machine", (StorageMachine,), {"kind": kind})
    examples = settings.default.max_examples if kind == "memory" else max(20, settings.default.max_examples // 10)
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=40))

"""Recorded decisions under the same policy stay as they are; under another one it shows which of them change."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest

from hestiaos import Client, GovernanceBlock
from hestiaos_local import LocalTransport, Platform
from hestiaos_local.governance import Facts, LogEntry, Policy, RecordedDecision, Replayed, recorded_decision, replay
from hestiaos_local.storage import Store, read_log
from hestiaos_proto import json

STRICTER = """
version = 2
name = "stricter"
[[rules]]
name = "no-drafts"
on = "input"
pattern = "draft"
decision = "BLOCK"
risk = 0.9
reason = "a draft"
[[rules]]
name = "everything-else"
on = "command"
pattern = "RUN"
decision = "ALLOW"
risk = 0.0
reason = "a run"
"""


def record(decision: str = "ALLOW", rule: str | None = None, **command: Any) -> dict[str, Any]:
    violations = [] if decision == "ALLOW" else [{"rule": rule}]
    return {
        "phase": "decided",
        "trace_id": "t",
        "decision": decision,
        "facts": {"trace": {"violations": violations}, "command": {"command_type": "RUN", **command}},
    }


def decisions(entries: Iterable[LogEntry]) -> list[RecordedDecision]:
    found = (recorded_decision(json.loads(entry.record)) for entry in entries)
    return [decision for decision in found if decision is not None]


def replayed(policy: Policy, recorded: dict[str, Any]) -> Replayed:
    decision = recorded_decision(recorded)
    assert decision is not None
    (told,) = replay(policy, [decision])
    return told


def test_the_record_of_an_outcome_holds_no_decision() -> None:
    assert recorded_decision({"phase": "finished", "trace_id": "t", "outcome": {"status": "completed"}}) is None


def test_the_facts_of_a_record() -> None:
    recorded = record("BLOCK", "r", texts=["a", "b"], agent_id="x", session_id="s", key="k", model="m", policy_hash="h")
    facts = Facts(command_type="RUN", texts=("a", "b"), agent="x", session="s", key="k", model="m")
    assert recorded_decision(recorded) == RecordedDecision("t", "BLOCK", "r", "h", facts)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ({"texts_sha256": ["00"]}, "only the hashes of its texts were kept"),
        ({"texts": ["***"], "replaced": True}, "parts of its texts were replaced before they were written"),
    ],
)
def test_what_was_not_written_as_it_was_cannot_be_replayed(command: dict[str, Any], why: str) -> None:
    told = replayed(Policy.default(), record(**command))
    assert (told.decision, told.changed, told.recorded.missing) == (None, False, why)


@pytest.mark.parametrize(
    ("recorded", "changed"),
    [
        (record(texts=["a report"]), False),
        (record(texts=["a draft"]), True),
        (record("BLOCK", "no-drafts", texts=["a draft"]), False),
        (record("BLOCK", "another-rule", texts=["a draft"]), True),
        (record("BLOCK", "no-drafts", texts=["a report"]), True),
        (record("THROTTLE", "no-drafts", texts=["a draft"]), True),
        (record(input="an old draft"), True),
    ],
)
def test_what_another_policy_changes(recorded: dict[str, Any], changed: bool) -> None:
    assert replayed(Policy.parse(STRICTER, "p.toml"), recorded).changed is changed


def run_many(platform: Platform, count: int) -> None:
    """So many runs; a tenth of them are blocked."""
    with Client(transport=LocalTransport(platform)) as client:
        for number in range(count):
            with suppress(GovernanceBlock):
                client.run(f"rm -rf /{number}" if number % 10 == 0 else f"create the draft of report {number}")


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=[pytest.mark.thorough, pytest.mark.timeout(600)])])
def test_recorded_decisions_under_the_same_policy_do_not_change(count: int) -> None:
    store = Store()
    with Platform(store=store) as platform:
        run_many(platform, count)
        recorded = decisions(read_log(store))
    assert len(recorded) == count
    assert sum(decision.decision == "BLOCK" for decision in recorded) == count // 10
    again = list(replay(Policy.default(), recorded))
    assert [told for told in again if told.decision is None or told.changed] == []
    assert sum(told.changed for told in replay(Policy.parse(STRICTER, "p.toml"), recorded)) == count

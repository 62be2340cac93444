"""Recorded decisions under the same policy stay as they are; under another one it shows which of them change."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve

from hestiaos import Client, GovernanceBlock, RateLimited
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
    (outcome,) = replay(policy, [decision])
    return outcome


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
        ({"texts": ["***"], "replaced": True}, "its texts were redacted before they were written"),
    ],
)
def test_what_was_not_written_as_it_was_cannot_be_replayed(command: dict[str, Any], why: str) -> None:
    outcome = replayed(Policy.default(), record(**command))
    assert (outcome.decision, outcome.changed, outcome.recorded.missing) == (None, False, why)


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
    assert [message for message in again if message.decision is None or message.changed] == []
    assert sum(message.changed for message in replay(Policy.parse(STRICTER, "p.toml"), recorded)) == count


class TestLimits:
    """They are replayed by the counters as they stood."""

    @staticmethod
    def policy(requests: int, tokens: int, burst: int) -> Policy:
        return Policy.parse(
            f"""
version = 2
name = "limited"
[[limits]]
name = "all"
per = "all"
requests = {requests}
tokens = {tokens}
window = "1h"
[[rules]]
name = "slow"
on = "input"
pattern = "slow"
decision = "THROTTLE"
max_tokens = 9
bucket = {{ requests = {burst}, per = "1h" }}
risk = 0.1
reason = "takes long"
""",
            "p.toml",
        )

    def replayed(self, policy: Policy) -> list[bool]:
        """Which of 3 slow runs and 3 others, of 4 requests in all and a burst of 2, would have gone otherwise."""
        store = Store()
        with Platform(policy=self.policy(4, 10_000, 2), store=store) as platform:
            with Client(transport=LocalTransport(platform), retries=0) as client:
                for text in ["slow", "slow", "slow", "fast", "fast", "fast"]:
                    with suppress(RateLimited):
                        client.run(text)
            return [outcome.changed for outcome in replay(policy, decisions(read_log(store)))]

    def test_the_same_policy_changes_nothing(self) -> None:
        assert self.replayed(self.policy(4, 10_000, 2)) == [False] * 6

    @pytest.mark.parametrize(
        ("requests", "tokens", "burst", "changed"),
        [
            (4, 10_000, 3, [False, False, True, False, False, False]),
            (4, 10_000, 1, [False, True, False, False, False, False]),
            (3, 10_000, 2, [False, False, False, False, True, False]),
            (5, 10_000, 2, [False, False, False, False, False, True]),
            (4, 1030, 2, [False, False, False, True, True, False]),
        ],
    )
    def test_other_limits(self, requests: int, tokens: int, burst: int, changed: list[bool]) -> None:
        assert self.replayed(self.policy(requests, tokens, burst)) == changed

    def test_limits_of_which_nothing_was_recorded_are_passed_over(self) -> None:
        other = self.policy(1, 1, 2)
        renamed = evolve(other, limits=tuple(evolve(limit, name="new") for limit in other.limits))
        assert self.replayed(renamed) == [False, False, False, False, False, True]

    def test_what_is_blocked_is_not_admitted(self) -> None:
        strict = Policy.parse(STRICTER.replace("draft", "slow"), "p.toml")
        assert self.replayed(strict) == [True, True, True, False, False, True]

    @pytest.mark.parametrize(
        ("used", "requests", "refused", "refused_by"),
        [
            (100, 4, False, None),
            (101, 4, False, "all"),
            (100, 5, False, "all"),
            (60, 3, True, None),
            (61, 3, True, "all"),
            (60, 4, True, "all"),
        ],
    )
    def test_a_call_has_room_to_the_last_token(
        self, used: int, requests: int, refused: bool, refused_by: str | None
    ) -> None:
        """What was let in is among what was used; what was refused, of 40 tokens, is not."""
        counter = {"limit": "all", "per": "all", "window": 3600.0, "requests": requests, "tokens": used}
        admission = {"reserved_tokens": 40, "limits": [counter], **({"refused_by": "all"} if refused else {})}
        told = replayed(self.policy(4, 100, 2), record(texts=["fast"], admission=admission))
        assert told.refused_by == refused_by
        assert told.changed is ((refused_by is not None) != refused)

"""What every storage promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hestiaos_local.storage import (
    MAX_RESULTS,
    Claimed,
    Conflict,
    Finished,
    InProgress,
    Outcome,
    Retention,
    Session,
    Storage,
    _results,
)
from tests.support.storages import trace

RESULT = {"result": "é\0", "numbers": [1, 2.5, None, True]}


def claim(storage: Storage, key: str = "k", fingerprint: str = "f", now: float = 100.0) -> int:
    claimed = storage.claim(key, fingerprint, now=now, lease=30.0)
    assert isinstance(claimed, Claimed)
    return claimed.token


def ask(storage: Storage, now: float, fingerprint: str = "f") -> Any:
    return storage.claim("k", fingerprint, now=now, lease=30.0)


def message(content: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": content}


def test_a_claimed_key_is_in_progress_until_it_is_finished(storage: Storage) -> None:
    token = claim(storage)
    assert ask(storage, 100.0) == InProgress(1.0)
    assert storage.finish("k", token, RESULT) is True
    assert ask(storage, 100.0) == Finished(RESULT)
    assert ask(storage, 1e9) == Finished(RESULT)


def test_the_wait_for_a_result_grows_with_the_time_that_it_takes(storage: Storage) -> None:
    claim(storage)
    waits = [ask(storage, now).retry_after for now in (100.0, 100.5, 105.0, 115.0, 125.0, 129.5)]
    assert waits == [1.0, 1.0, 5.0, 15.0, 5.0, 0.5]


def test_a_key_with_another_request_is_a_conflict(storage: Storage) -> None:
    token = claim(storage)
    assert ask(storage, 101.0, "other") == Conflict()
    storage.finish("k", token, RESULT)
    assert ask(storage, 101.0, "other") == Conflict()


def test_an_abandoned_key_is_free(storage: Storage) -> None:
    storage.abandon("k", claim(storage))
    token = claim(storage, fingerprint="other")
    assert storage.finish("k", token, RESULT) is True


def test_a_finished_key_cannot_be_abandoned_or_finished_again(storage: Storage) -> None:
    token = claim(storage)
    storage.finish("k", token, RESULT)
    storage.abandon("k", token)
    assert storage.finish("k", token, "other") is False
    assert ask(storage, 101.0) == Finished(RESULT)


def test_a_claim_is_void_after_its_lease(storage: Storage) -> None:
    first = claim(storage)
    assert ask(storage, 129.5) == InProgress(0.5)
    second = claim(storage, now=130.0)
    assert second != first
    # A caller that comes back after that has lost the key.
    assert storage.finish("k", first, "late") is False
    storage.abandon("k", first)
    assert ask(storage, 131.0) == InProgress(1.0)
    assert storage.finish("k", second, RESULT) is True
    assert ask(storage, 131.0) == Finished(RESULT)


def test_a_claim_that_nobody_took_over_is_finished_after_its_lease(storage: Storage) -> None:
    assert storage.finish("k", claim(storage), RESULT) is True
    assert ask(storage, 1000.0) == Finished(RESULT)


def test_the_newest_results_are_kept(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Retention(max_count=MAX_RESULTS, max_bytes=64 * 1024**2, min_count=1000) == _results._NEWEST_RESULTS
    monkeypatch.setattr(_results, "_NEWEST_RESULTS", Retention(max_count=100))  # which takes less time
    waiting = claim(storage, "waiting")
    for number in range(102):
        storage.finish(f"key {number}", claim(storage, f"key {number}"), number)
    assert isinstance(storage.claim("key 0", "f", now=100.0, lease=30.0), Claimed)
    assert storage.claim("key 2", "f", now=100.0, lease=30.0) == Finished(2)
    assert storage.finish("waiting", waiting, RESULT) is True


def test_one_of_many_threads_claims_a_key(storage: Storage) -> None:
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda _: ask(storage, 100.0), range(100)))
    assert sum(isinstance(each, Claimed) for each in claims) == 1
    assert sum(each == InProgress(1.0) for each in claims) == 99


def test_a_trace_in_two_phases(storage: Storage) -> None:
    assert storage.trace("a") is None
    decided = trace("a", "THROTTLE", 12.5, "é\0")
    storage.add_trace(decided)
    assert storage.trace("a") == decided
    outcome = Outcome("completed", 17.5, input_tokens=3, output_tokens=5, output="é\0")
    assert storage.finish_trace("a", outcome) is True
    found = storage.trace("a")
    assert found is not None
    assert found.outcome == outcome
    assert (found.trace_id, found.decision, found.decided_at, found.facts) == ("a", "THROTTLE", 12.5, {"text": "é\0"})


def test_a_trace_has_one_outcome(storage: Storage) -> None:
    storage.add_trace(trace("a"))
    storage.finish_trace("a", Outcome("cancelled"))
    assert storage.finish_trace("a", Outcome("completed")) is False
    assert storage.finish_trace("unknown", Outcome("completed")) is False
    found = storage.trace("a")
    assert found is not None
    assert found.outcome == Outcome("cancelled")


def test_decisions_are_counted(storage: Storage) -> None:
    assert storage.decisions() == {}
    for number, decision in enumerate(["BLOCK", "ALLOW", "BLOCK", "THROTTLE"]):
        storage.add_trace(trace(str(number), decision))
    assert storage.decisions() == {"ALLOW": 1, "BLOCK": 2, "THROTTLE": 1}
    assert storage.decisions(newest=2) == {"BLOCK": 1, "THROTTLE": 1}
    assert storage.decisions(newest=0) == {}
    assert storage.decisions(newest=100) == storage.decisions()


def test_the_newest_traces(storage: Storage) -> None:
    assert storage.traces() == []
    kept = [trace(str(number), decision) for number, decision in enumerate(["BLOCK", "ALLOW", "BLOCK"])]
    for each in kept:
        storage.add_trace(each)
    assert storage.traces() == kept[::-1]
    assert storage.traces(limit=2) == kept[:0:-1]
    assert storage.traces(limit=0) == []
    assert storage.traces(decision="BLOCK") == [kept[2], kept[0]]
    assert storage.traces(limit=1, decision="ALLOW") == [kept[1]]
    storage.finish_trace("1", Outcome("completed"))
    assert storage.traces(decision="ALLOW")[0].outcome == Outcome("completed")


def test_traces_in_pages(storage: Storage) -> None:
    for number, decision in enumerate(["BLOCK", "ALLOW", "BLOCK", "ALLOW", "BLOCK"]):
        storage.add_trace(trace(str(number), decision))

    def pages(decision: str | None) -> list[str]:
        told, before = [], None
        while page := storage.traces(limit=2, decision=decision, before=before):
            told.append("".join(each.trace_id for each in page))
            before = page[-1].trace_id
        return told

    assert pages(None) == ["43", "21", "0"]
    assert pages("BLOCK") == ["42", "0"]
    assert storage.traces(before="unknown") == []


def test_a_session(storage: Storage) -> None:
    assert storage.messages("s") == []
    assert storage.session("s") is None
    first, second, third = message("one"), message("é\0", "assistant"), message("three")
    storage.add_messages("s", [first, second], now=100.0)
    storage.add_messages("t", [message("other")], now=150.0)
    storage.add_messages("s", [third], now=200.0)
    assert storage.messages("s") == [first, second, third]
    assert [storage.messages("s", last=last) for last in (0, 1, 2, 9)] == [
        [],
        [third],
        [second, third],
        [first, second, third],
    ]
    assert storage.session("s") == Session("s", 200.0, 3)
    assert [storage.active_sessions(since) for since in (0.0, 175.0, 200.0, 201.0)] == [2, 1, 1, 0]


def test_a_deleted_session_begins_anew(storage: Storage) -> None:
    storage.add_messages("s", [message("one")], now=100.0)
    storage.add_messages("t", [message("other")], now=100.0)
    assert storage.delete_session("s") is True
    assert storage.delete_session("s") is False
    assert (storage.messages("s"), storage.session("s")) == ([], None)
    assert storage.messages("t") == [message("other")]
    storage.add_messages("s", [message("two")], now=200.0)
    assert storage.messages("s") == [message("two")]


def test_sessions_in_pages(storage: Storage) -> None:
    for number, now in enumerate([30.0, 10.0, 20.0, 20.0, 20.0]):
        storage.add_messages(f"s{number}", [], now=now)
    pages, after = [], None
    while page := storage.sessions(limit=2, after=after):
        pages.append([session.session_id for session in page])
        after = page[-1]
    assert pages == [["s0", "s4"], ["s3", "s2"], ["s1"]]
    assert len(storage.sessions()) == 5


def test_secrets(storage: Storage) -> None:
    storage.set_secret("k", "v\0w", "custom")
    assert storage.secret("k") == "v\0w"
    storage.set_secret("k", "é", "vault")
    storage.set_secret("a", "", "vault")
    assert (storage.secret("k"), storage.secret("a")) == ("é", "")
    assert storage.secret_names() == ["a", "k"]
    assert storage.delete_secret("k") is True
    assert storage.delete_secret("k") is False
    assert storage.secret("k") is None
    assert storage.secret_names() == ["a"]


def fill(storage: Storage) -> None:
    """Of each kind ten, one a second from 100.0 on, each of about 1,000 bytes."""
    for number in range(10):
        now, text = 100.0 + number, "x" * 1000
        storage.add_trace(trace(f"t{number}", decided_at=now, text=text))
        storage.add_messages(f"s{number}", [message(text)], now=now)
        storage.finish(f"k{number}", claim(storage, f"k{number}", now=now), text)


def kept(storage: Storage) -> tuple[str, str, str]:
    """Which of what `fill` added there still are, by their numbers."""
    return (
        "".join(str(number) for number in range(10) if storage.trace(f"t{number}")),
        "".join(str(number) for number in range(10) if storage.session(f"s{number}")),
        "".join(
            str(number)
            for number in range(10)
            if isinstance(storage.claim(f"k{number}", "f", now=200.0, lease=0.0), Finished)
        ),
    )


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (Retention(), "0123456789"),
        (Retention(max_age=6.0), "456789"),
        (Retention(max_count=3), "789"),
        (Retention(max_bytes=4500), "6789"),
        (Retention(max_age=6.0, max_count=3, max_bytes=4500), "789"),
        (Retention(max_count=0), ""),
        (Retention(max_bytes=0), ""),
        (Retention(max_age=0.0), ""),
        (Retention(max_age=6.0, max_bytes=0, min_count=7), "3456789"),
        (Retention(max_age=6.0, min_count=2), "456789"),
        (Retention(max_count=3, min_count=7), "789"),
    ],
)
def test_retention(storage: Storage, retention: Retention, left: str) -> None:
    fill(storage)
    storage.set_secret("k", "v", "custom")
    assert storage.prune(retention, now=110.0) == 3 * (10 - len(left))
    assert storage.prune(retention, now=110.0) == 0
    assert kept(storage) == (left, left, left)
    assert storage.secret("k") == "v"
    assert all(storage.messages(f"s{number}") == [] for number in range(10) if str(number) not in left)
    assert storage.decisions() == {"ALLOW": 10}


def test_retention_counts_outcomes_and_later_messages(storage: Storage) -> None:
    storage.add_trace(trace("t"))
    storage.add_messages("s", [], now=0.0)
    assert storage.prune(Retention(max_bytes=500), now=0.0) == 0
    storage.finish_trace("t", Outcome("completed", output="é" * 250))
    storage.add_messages("s", [message("é" * 251)], now=0.0)
    assert storage.prune(Retention(max_bytes=500), now=0.0) == 2


def test_retention_counts_what_is_there_to_the_byte(storage: Storage) -> None:
    for session_id in "abcd":
        storage.add_messages(session_id, [{"a": "é"}], now=0.0)  # 10 bytes
    storage.delete_session("d")
    assert storage.prune(Retention(max_bytes=30), now=0.0) == 0
    assert storage.prune(Retention(max_bytes=29), now=0.0) == 1
    assert storage.prune(Retention(max_bytes=20), now=0.0) == 0


def test_retention_forgets_the_size_of_what_it_deletes(storage: Storage) -> None:
    storage.add_trace(trace("t", text="x" * 1000))
    storage.finish_trace("t", Outcome("completed", output="x" * 1000))
    assert storage.prune(Retention(max_bytes=2000), now=0.0) == 1
    storage.add_trace(trace("u", text="x" * 100))
    assert storage.prune(Retention(max_bytes=200), now=0.0) == 0


def test_retention_deletes_more_than_a_batch(storage: Storage) -> None:
    for number in range(601):
        storage.finish(f"k{number}", claim(storage, f"k{number}"), number)
    assert storage.prune(Retention(max_count=1), now=0.0) == 600
    assert storage.claim("k600", "f", now=100.0, lease=30.0) == Finished(600)


def test_a_session_that_is_used_is_not_old(storage: Storage) -> None:
    storage.add_messages("s", [], now=1.0)
    storage.add_messages("t", [], now=2.0)
    storage.add_messages("s", [], now=3.0)
    storage.prune(Retention(max_count=1), now=3.0)
    assert [session.session_id for session in storage.sessions()] == ["s"]


def test_void_claims_are_deleted_and_others_stay(storage: Storage) -> None:
    void, live = claim(storage, "void", now=0.0), claim(storage, "live", now=10.0)
    storage.prune(Retention(max_count=0), now=30.0)
    assert storage.finish("void", void, 1) is False
    assert storage.finish("live", live, 2) is True


def test_threads_share_it(storage: Storage) -> None:
    def work(number: int) -> None:
        storage.add_trace(trace(f"t{number}"))
        storage.add_messages("s", [message(str(number))], now=float(number))
        assert storage.trace(f"t{number}") is not None

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))
    assert storage.decisions() == {"ALLOW": 200}
    assert sorted(int(each["content"]) for each in storage.messages("s")) == list(range(200))


def test_what_json_cannot_say_leaves_nothing(storage: Storage) -> None:
    token = claim(storage)
    with pytest.raises(ValueError, match="JSON compliant"):
        storage.finish("k", token, float("nan"))
    with pytest.raises(ValueError, match="lone surrogate"):
        storage.add_trace(trace("t", text="\ud800"))
    assert storage.decisions() == {}
    assert storage.finish("k", token, 1) is True


def test_closing_twice(storage: Storage) -> None:
    assert storage.works() is True
    storage.close()
    storage.close()
    assert storage.works() is False
    with pytest.raises(ValueError, match="is closed"):
        storage.trace("a")
    with pytest.raises(ValueError, match="is closed"):
        storage.add_trace(trace("a"))

"""An execution is charged under the limits of its policy before it begins, and settled once it is over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from hestiaos import Client, HestiaError, Hooks, RateLimited
from hestiaos_local import Platform, Store, StoreError
from hestiaos_local.execution import Output, Text, Usage, Work, function_executor
from hestiaos_local.flow import in_thread
from hestiaos_local.governance import Policy
from hestiaos_local.storage import TraceRecord
from hestiaos_proto import AgentResult, GovernanceBlock, InvalidInput, RunResponse, StatusError, parse_request
from tests.support.policies import limited, policy
from tests.support.raw_client import RawClient, post

RUN = "/api/v1/run"
REQUESTS = 'per = "key"\nrequests = 2\nwindow = "1m"'
SLOW = 'on = "command"\npattern = "RUN"\ndecision = "THROTTLE"\nrisk = 0.1\nreason = "costs"'
TOKENS = 'per = "all"\ntokens = 1000\nwindow = "1m"'
LARGER = TOKENS.replace("1000", "9000")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(platform: Platform, text: str = "go on", key: str | None = None, path: str = RUN, **more: Any) -> Any:
    body = {"input": text} if path.startswith(RUN) else {"agent_id": "a", "task": text}
    return platform.respond(parse_request("POST", path, {}, json.dumps(body | more).encode()), key=key)


def trace(platform: Platform, trace_id: str | None) -> dict[str, Any]:
    answer = platform.respond(parse_request("GET", f"/api/governance/trace/{trace_id}", {}, b""))
    assert isinstance(answer, dict)
    return answer


def used(store: Store, policy: Policy, now: float) -> list[tuple[int, int]]:
    return [(use.requests, use.tokens) for use in store.usage(policy.limits, now=now)]


class TestRequests:
    @pytest.fixture
    def platform(self, clock: Clock) -> Iterator[Platform]:
        with Platform(policy=limited(REQUESTS), clock=clock) as platform:
            yield platform

    def test_each_key_has_as_many_as_its_limit_in_a_window(self, platform: Platform, clock: Clock) -> None:
        assert isinstance(ask(platform, key="a"), RunResponse)
        clock.now += 30
        assert isinstance(ask(platform, key="a"), RunResponse)
        refused = ask(platform, key="a")
        assert isinstance(refused, RateLimited)
        assert refused.retry_after == 31.0
        assert isinstance(ask(platform, key="b"), RunResponse)
        assert isinstance(ask(platform), RunResponse)
        clock.now += 31
        assert isinstance(ask(platform, key="a"), RunResponse)
        assert isinstance(ask(platform, key="a"), RateLimited)

    def test_a_refusal_says_which_limit_has_no_room(self, platform: Platform) -> None:
        refused = [ask(platform, key="a") for _ in range(3)][-1]
        assert str(refused).startswith("[RATE_LIMITED] the limit 'l1' is exhausted: 2 of 2 requests in 60 s are used")
        assert refused.details == {
            "limit": "l1",
            "per": "key",
            "subject": "a",
            "window": 60.0,
            "requests": 2,
            "max_requests": 2,
            "tokens": 0,
            "max_tokens": None,
        }

    def test_what_was_looked_at_is_in_the_traces(self, platform: Platform) -> None:
        first, _, refused = (ask(platform, key="a") for _ in range(3))
        told = trace(platform, first.trace_id)
        assert told["outcome"] == "completed"
        assert told["admission"]["limits"] == [first_use := refused.details | {"requests": 1}]
        assert first_use["limit"] == "l1"
        told = trace(platform, refused.trace_id)
        assert (told["decision"], told["outcome"], told["error"]) == ("THROTTLE", "blocked", "RATE_LIMITED")
        assert told["violations"] == [
            {"rule": "l1", "decision": "THROTTLE", "risk_score": 0.0, "reason": refused.message}
        ]
        assert (told["mode"], told["budget"], told["reason"]) == ("THROTTLE", 0.0, refused.message)
        assert told["admission"] == {"reserved_tokens": 0, "limits": [refused.details], "refused_by": "l1"}

    def test_a_stream_is_refused_before_it_begins(self, platform: Platform) -> None:
        for _ in range(2):
            list(ask(platform, path=f"{RUN}/stream"))
        assert isinstance(ask(platform, path=f"{RUN}/stream"), RateLimited)

    def test_an_agent_and_a_completion_are_charged_too(self, platform: Platform) -> None:
        assert isinstance(ask(platform, path="/api/agents/run"), AgentResult)
        assert isinstance(complete(platform), list)
        assert isinstance(ask(platform), RateLimited)
        assert isinstance(complete(platform), RateLimited)

    def test_a_repeat_with_its_key_is_not_charged(self, platform: Platform) -> None:
        call = parse_request("POST", RUN, {"idempotency-key": "k"}, b'{"input": "x"}')
        assert len({platform.respond(call).trace_id for _ in range(5)}) == 1  # type: ignore[union-attr]
        assert isinstance(ask(platform), RunResponse)


def complete(platform: Platform, work: Work | None = None) -> list[Output] | StatusError:
    """What a completion gives after its trace, or what refuses it."""

    async def main() -> list[Output]:
        asked = work or Work(messages=[{"role": "user", "content": "x"}])
        return [item async for item in platform.complete(asked, in_thread)][1:]

    try:
        return anyio.run(main)
    except StatusError as error:
        return error


def test_what_is_blocked_is_not_charged(clock: Clock) -> None:
    rule = '[[rules]]\nname = "r"\non = "input"\npattern = "bad"\ndecision = "BLOCK"\nrisk = 1.0\nreason = "is bad"'
    with Platform(policy=limited(f"{REQUESTS}\n{rule}"), clock=clock) as platform:
        assert [type(ask(platform, "bad")) for _ in range(3)] == [GovernanceBlock] * 3
        assert isinstance(ask(platform), RunResponse)


def test_a_rule_that_throttles_keeps_its_pace(clock: Clock) -> None:
    slow = SLOW.replace("command", "input").replace("RUN", "slow") + '\nbucket = { requests = 2, per = "8s" }'
    with Platform(policy=policy(slow), clock=clock) as platform:
        assert [type(ask(platform, "slow")) for _ in range(3)] == [RunResponse, RunResponse, RateLimited]
        assert isinstance(ask(platform, "fast"), RunResponse)
        clock.now += 1
        refused = ask(platform, "slow")
        assert (refused.retry_after, refused.details["limit"], refused.details["per"]) == (3.0, "r1", "rule")
        clock.now += 3
        assert isinstance(ask(platform, "slow"), RunResponse)


class TestTokens:
    """A limit of 1,000 tokens; an input of 4 letters is one of them."""

    @pytest.fixture
    def store(self) -> Store:
        return Store()

    @pytest.fixture
    def start(self, store: Store, clock: Clock) -> Callable[..., Platform]:
        def start(model: Callable[[Work], Any], rules: str = TOKENS) -> Platform:
            executor = function_executor(model)
            return Platform(policy=limited(rules), store=store, executor=executor, clock=clock)

        return start

    def test_what_was_used_takes_the_place_of_what_was_reserved(
        self, start: Callable[..., Platform], store: Store, clock: Clock
    ) -> None:
        reserved = []

        def model(work: Work) -> Iterator[Output]:
            reserved.append((work.max_tokens, used(store, limited(TOKENS), clock.now)))
            yield Text("x")
            yield Usage(5, 40)

        platform = start(model)
        told = trace(platform, ask(platform, "four").trace_id)
        assert reserved == [(999, [(1, 1000)])]
        assert used(store, limited(TOKENS), clock.now) == [(1, 45)]
        assert told["admission"]["reserved_tokens"] == 1000

    @pytest.mark.parametrize(
        ("rules", "asked", "given"),
        [(TOKENS, 50, 50), (TOKENS, 5000, 999), (LARGER, None, 1024), (REQUESTS, None, None)],
    )
    def test_what_may_be_written_is_within_what_is_reserved(
        self, start: Callable[..., Platform], rules: str, asked: int | None, given: int | None
    ) -> None:
        works: list[Work] = []

        def model(work: Work) -> Iterator[str]:
            works.append(work)
            yield "x"

        work = Work(messages=[{"role": "user", "content": "four"}], max_tokens=asked)
        assert isinstance(complete(start(model, rules), work), list)
        assert works[0].max_tokens == given

    def test_what_may_be_written_is_within_the_lowest_limit(self, start: Callable[..., Platform]) -> None:
        works: list[Work] = []
        lower = TOKENS.replace("1000", "300")
        rules = f'{TOKENS}\n[[limits]]\nname = "lower"\n{lower}\n[[limits]]\nname = "larger"\n{LARGER}'
        platform = start(lambda work: works.append(work) or "x", rules)
        assert isinstance(ask(platform, "four"), RunResponse)
        assert works[0].max_tokens == 299

    def test_an_input_that_leaves_one_token_is_let_in(self, start: Callable[..., Platform]) -> None:
        works: list[Work] = []
        assert isinstance(ask(start(lambda work: works.append(work) or "x"), "x" * 4 * 999), RunResponse)
        assert works[0].max_tokens == 1

    def test_a_call_that_waits_for_room_is_told_when(self, start: Callable[..., Platform], clock: Clock) -> None:
        platform = start(lambda work: iter([Text("x"), Usage(1, 980)]))
        assert isinstance(ask(platform), RunResponse)
        work = Work(messages=[{"role": "user", "content": "four"}], max_tokens=18)
        assert isinstance(complete(platform, work), list)
        refused = complete(platform, work)
        assert isinstance(refused, RateLimited)
        assert refused.retry_after == 61.0

    def test_an_input_that_is_larger_than_the_limit_is_invalid(self, start: Callable[..., Platform]) -> None:
        refused = ask(start(lambda work: "x"), "x" * 4000)
        assert isinstance(refused, InvalidInput)
        assert refused.message.startswith("an input of about 1000 tokens exceeds the limit 'l1': it allows 1000")

    def test_a_failure_is_charged_what_was_read_and_written(
        self, start: Callable[..., Platform], store: Store, clock: Clock
    ) -> None:
        def model(work: Work) -> Iterator[str]:
            if work.messages[0]["content"] == "silent":
                raise ValueError("nothing said")
            yield "x" * 40
            raise ValueError("cut")

        platform = start(model, LARGER)
        ask(platform, "silent")
        assert used(store, limited(LARGER), clock.now) == [(1, 2)]
        ask(platform, "four")
        assert used(store, limited(LARGER), clock.now) == [(2, 2 + 1 + 10)]

    def test_a_caller_that_goes_is_charged_what_was_read_and_written(
        self, start: Callable[..., Platform], store: Store, clock: Clock
    ) -> None:
        def model(work: Work) -> Iterator[str]:
            yield "x" * 40
            yield "y" * 40

        events = ask(start(model), "four", path=f"{RUN}/stream")
        next(events)
        events.close()
        assert used(store, limited(TOKENS), clock.now) == [(1, 0)]  # it went before the model was asked
        events = ask(start(model), "four", path=f"{RUN}/stream")
        next(events)
        next(events)
        events.close()
        assert used(store, limited(TOKENS), clock.now) == [(2, 11)]


def test_nothing_stays_reserved_for_what_cannot_be_stored(clock: Clock) -> None:
    class Failing(Store):
        def add_trace(self, trace: TraceRecord) -> None:
            raise StoreError("the disk is full")

    store = Failing()
    with Platform(policy=limited(TOKENS), store=store, clock=clock) as platform:
        assert isinstance(ask(platform), StoreError)
        assert used(store, limited(TOKENS), clock.now) == [(1, 0)]


def test_an_approval_is_not_used_up_where_a_limit_cannot_be_charged(clock: Clock) -> None:
    class Failing(Store):
        fails = True

        def reserve(self, *arguments: Any, **more: Any) -> Any:
            if self.fails:
                raise StoreError("the disk is full")
            return super().reserve(*arguments, **more)

    rule = (
        'name = "r"\non = "input"\npattern = "deploy"\ndecision = "BLOCK"\napproval = true\nrisk = 1.0\nreason = "asks"'
    )
    rules = limited('per = "key"\nrequests = 1\nwindow = "1m"\n[[rules]]\n' + rule)
    store = Failing()
    with Platform(policy=rules, store=store, clock=clock) as platform:
        block = ask(platform, "deploy")
        assert isinstance(block, GovernanceBlock)
        store.decide_approval(block.details["approval"]["id"], True, by="alice", now=clock.now)
        assert isinstance(ask(platform, "deploy"), StoreError)
        store.fails = False
        ask(platform, "something else")
        assert isinstance(ask(platform, "deploy"), RateLimited)
        assert isinstance(ask(platform, "deploy", key="a"), RunResponse)
        assert isinstance(ask(platform, "deploy", key="b"), GovernanceBlock)


def test_a_settlement_that_fails_is_logged_and_the_result_is_given(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Store):
        def settle(self, *arguments: Any, **more: Any) -> None:
            raise StoreError("the disk is full")

    store = Failing()
    with Platform(policy=limited(TOKENS), store=store, clock=clock) as platform:
        result = ask(platform)
        assert isinstance(result, RunResponse)
        assert trace(platform, result.trace_id)["outcome"] == "completed"
        assert used(store, limited(TOKENS), clock.now) == [(1, 1000)]
    assert "1000 tokens stay reserved for an execution that used" in caplog.text


def test_the_front_door_says_when_to_come_again(start: Callable[..., str]) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]}).encode()
    with Platform(policy=limited(REQUESTS)) as platform, RawClient(start(platform=platform)) as client:
        for _ in range(2):
            client.send(post("/v1/chat/completions", body))
            assert client.response()[0] == 200
        client.send(post("/v1/chat/completions", body))
        status, headers = client.head()
        told = json.loads(client.file.read(int(headers["content-length"])))["error"]
    assert (status, told["code"], told["type"]) == (429, "rate_limited", "rate_limit_error")
    assert 1 <= int(headers["retry-after"]) <= 61
    assert told["details"]["limit"] == "l1"
    assert told["trace_id"] == headers["x-hestia-trace-id"]


def test_our_clients_wait_as_long_as_they_are_told_and_pass(start: Callable[..., str], clock: Clock) -> None:
    store = Store()

    def wait(call: object, error: HestiaError, seconds: float) -> None:
        clock.now += seconds  # it stands still between the runs, however long they take

    slow = policy(SLOW + '\nbucket = { requests = 1, per = "1s" }')
    with (
        Platform(policy=slow, store=store, clock=clock) as platform,
        Client(start(platform=platform), hooks=Hooks(on_retry=wait)) as client,
    ):
        results = [client.run("x") for _ in range(2)]
        assert [result.mode for result in results] == ["THROTTLE", "THROTTLE"]
        outcomes = [(each.outcome.status, each.outcome.error) for each in store.traces() if each.outcome is not None]
    assert outcomes[0] == outcomes[-1] == ("completed", None)
    assert set(outcomes[1:-1]) == {("blocked", "RATE_LIMITED")}

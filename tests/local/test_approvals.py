"""Approvals: somebody approves a call that a rule blocks, and the same call passes once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hestiaos_local import Platform, Policy, Store
from hestiaos_local.decisions import APPROVAL_TIME
from hestiaos_local.execution import Finish, Output, Text, ToolCall, Work, function_executor
from hestiaos_local.flow import drive_sync
from hestiaos_local.governance import Charge, Exhausted, Reservation, recorded_decision, replay
from hestiaos_local.storage import Approval as StoredApproval
from hestiaos_local.storage import StoreError, TraceRecord, read_log
from hestiaos_proto import (
    Approval,
    Config,
    GovernanceBlock,
    Operation,
    RateLimited,
    RunResponse,
    ServerRequest,
    json,
    operations,
    parse_request,
)

pytest.importorskip("re2")

POLICY = Policy.parse(
    """\
version = 2
name = "team"

[[rules]]
name = "deploys"
on = ["input", "tool"]
pattern = 'deploy'
decision = "BLOCK"
reason = "deploys need a person"
risk = 0.7
approval = true

[[rules]]
name = "interns"
on = ["input", "tool"]
pattern = 'deploy'
keys = ["intern"]
decision = "BLOCK"
reason = "so do interns"
approval = true

[[rules]]
name = "friday"
on = ["input", "tool"]
pattern = 'friday'
decision = "BLOCK"
reason = "never on a friday"

[[rules]]
name = "loudly"
on = "input"
pattern = 'loud'
decision = "THROTTLE"
""",
    "team.toml",
)


def call(operation: Operation[Any], headers: Mapping[str, str] | None = None) -> ServerRequest:
    request = operation.request(Config())
    named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    return parse_request(request.method, request.target, named, request.body)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def ask(clock: Clock, store: Store) -> Iterator[Callable[..., Any]]:
    with Platform(policy=POLICY, store=store, clock=clock) as platform:
        yield lambda operation, key=None, **headers: platform.answer(call(operation, headers), key=key)


def blocked(ask: Callable[..., Any], operation: Operation[Any]) -> GovernanceBlock:
    with pytest.raises(GovernanceBlock) as caught:
        ask(operation)
    return caught.value


def approval_of(ask: Callable[..., Any], operation: Operation[Any]) -> str:
    """The id of the approval that a blocked call waits for."""
    approval_id = blocked(ask, operation).details["approval"]["id"]
    assert isinstance(approval_id, str)
    return approval_id


DEPLOY = operations.run("deploy it")


def test_the_same_call_passes_once(ask: Callable[..., Any]) -> None:
    error = blocked(ask, DEPLOY)
    approval = error.details["approval"]
    assert approval == {"id": approval["id"], "expires": "1970-01-01T01:16:40.000+00:00", "status": "pending"}
    [waiting] = ask(operations.list_approvals(status="pending"))
    assert waiting == Approval(
        approval_id=approval["id"],
        status="pending",
        created="1970-01-01T00:16:40.000+00:00",
        expires=approval["expires"],
        trace_id=error.trace_id,
        operation="run",
        rule="deploys",
        reason="deploys need a person",
        risk_score=0.7,
        input="deploy it",
    )
    ask(operations.decide_approval(approval["id"], True), key="boss")
    passed = ask(DEPLOY)
    assert (passed.result, passed.mode) == ("processed: deploy it", "ALLOW")
    trace = ask(operations.governance_trace(passed.trace_id))
    assert (trace["reason"], trace["risk_score"]) == ("approved by boss", 0.7)
    assert trace["approval"] == {"id": approval["id"], "status": "used", "by": "boss"}
    assert approval_of(ask, DEPLOY) != approval["id"]


def test_an_approval_is_for_the_rules_that_it_was_asked_for(clock: Clock) -> None:
    with Platform(policy=POLICY, clock=clock) as platform:

        def ask(key: str) -> RunResponse:
            return platform.answer(call(DEPLOY), key=key)  # type: ignore[no-any-return]

        approvals: dict[str, str] = {}
        for key in ("senior", "intern"):
            with pytest.raises(GovernanceBlock) as caught:
                ask(key)
            approvals[key] = caught.value.details["approval"]["id"]
        assert approvals["senior"] != approvals["intern"]
        shown = [each.to_wire() for each in platform.answer(call(operations.list_approvals()))]
        assert [(each["rule"], each.get("rules")) for each in shown] == [
            ("deploys", ["deploys", "interns"]),
            ("deploys", None),
        ]
        platform.answer(call(operations.decide_approval(approvals["senior"], True)))
        with pytest.raises(GovernanceBlock):
            ask("intern")
        assert ask("senior").mode == "ALLOW"
        platform.answer(call(operations.decide_approval(approvals["intern"], True)))
        with pytest.raises(GovernanceBlock):
            ask("senior")
        assert ask("intern").mode == "ALLOW"


@pytest.mark.parametrize(
    "changed",
    [
        operations.run("deploy it "),
        operations.run("deploy it", session_id="s"),
        operations.run("deploy it", agent_id="a"),
        operations.run("deploy it", mode_hint="deep"),
        operations.chat("deploy it"),
        operations.run_agent("a", "deploy it"),
    ],
    ids=lambda operation: f"{operation.name} {dict(operation.arguments)}",
)
def test_a_changed_call_does_not_pass(ask: Callable[..., Any], changed: Operation[Any]) -> None:
    ask(operations.decide_approval(approval_of(ask, DEPLOY), True))
    if changed.name == "run_agent":
        assert ask(changed).status == "BLOCKED"
    else:
        blocked(ask, changed)
    assert isinstance(ask(DEPLOY), RunResponse)


def test_how_long_it_may_take_and_whether_it_is_streamed_is_not_the_call(ask: Callable[..., Any]) -> None:
    ask(operations.decide_approval(approval_of(ask, DEPLOY), True))
    events = list(ask(operations.run_stream("deploy it", timeout_ms=5000)))
    assert events[-2].type == "final"


def test_another_policy_is_another_call(ask: Callable[..., Any], store: Store, clock: Clock) -> None:
    ask(operations.decide_approval(approval_of(ask, DEPLOY), True))
    other = Policy.parse(f"{POLICY.text}\n# stricter\n", "team.toml")
    platform = Platform(policy=other, store=store, clock=clock)
    with pytest.raises(GovernanceBlock):
        platform.answer(call(DEPLOY))


def test_until_it_is_decided_or_expires_the_same_one_is_waited_for(ask: Callable[..., Any], clock: Clock) -> None:
    first = approval_of(ask, DEPLOY)
    clock.now += APPROVAL_TIME - 1
    assert approval_of(ask, DEPLOY) == first
    clock.now += 1
    assert approval_of(ask, DEPLOY) != first


def test_an_expired_approval_does_not_pass(ask: Callable[..., Any], clock: Clock) -> None:
    ask(operations.decide_approval(approval_of(ask, DEPLOY), True))
    clock.now += APPROVAL_TIME
    blocked(ask, DEPLOY)


def test_a_denied_call_is_blocked_and_says_so(ask: Callable[..., Any]) -> None:
    first = approval_of(ask, DEPLOY)
    ask(operations.decide_approval(first, False))
    approval = blocked(ask, DEPLOY).details["approval"]
    assert (approval["id"], approval["status"]) == (first, "denied")


def test_other_rules_hold_for_what_was_approved(ask: Callable[..., Any]) -> None:
    error = blocked(ask, operations.run("deploy it on friday"))
    assert (error.details["rule"], "approval" in error.details) == ("friday", False)
    loudly = operations.run("deploy it loud")
    ask(operations.decide_approval(approval_of(ask, loudly), True))
    assert ask(loudly).mode == "THROTTLE"


@pytest.mark.parametrize(
    "operation", [operations.chat("deploy it", session_id="s"), operations.chat("deploy it")], ids=["session", "none"]
)
def test_chats(ask: Callable[..., Any], operation: Operation[Any]) -> None:
    ask(operations.decide_approval(approval_of(ask, operation), True))
    assert ask(operation).result == "processed: deploy it"


def test_agents(ask: Callable[..., Any]) -> None:
    operation = operations.run_agent("a", "deploy it", config={"b": 1, "a": 2})
    approval = ask(operation).extra["approval"]
    ask(operations.decide_approval(approval["id"], True))
    again = operations.run_agent("a", "deploy it", config={"a": 2, "b": 1})  # the order of keys is not the call
    assert ask(again).status == "COMPLETED"


def test_completions(ask: Callable[..., Any], store: Store, clock: Clock) -> None:
    platform = Platform(policy=POLICY, store=store, clock=clock)

    def complete(**options: Any) -> list[Any]:
        work = Work(messages=[{"role": "user", "content": "deploy it"}], options=options)
        return list(drive_sync(platform._completion(work, None)))

    with pytest.raises(GovernanceBlock) as caught:
        complete(seed=1)
    ask(operations.decide_approval(caught.value.details["approval"]["id"], True))
    with pytest.raises(GovernanceBlock):
        complete(seed=2)
    assert Text("it") in complete(seed=1)


@pytest.mark.parametrize("operation", [DEPLOY, operations.run_agent("a", "deploy it")], ids=["run", "run_agent"])
def test_a_repeat_of_the_request_passes_too(ask: Callable[..., Any], operation: Operation[Any]) -> None:
    """Its first result, the block, is not kept for its Idempotency-Key; the result that follows is."""
    for _ in range(2):
        try:
            approval = ask(operation, idempotency_key="k").extra["approval"]
        except GovernanceBlock as block:
            approval = block.details["approval"]
    ask(operations.decide_approval(approval["id"], True))
    passed = ask(operation, idempotency_key="k")
    assert passed.result == "processed: deploy it"
    assert ask(operation, idempotency_key="k") == passed


def test_at_the_same_moment_one_passes(tmp_path: Path) -> None:
    with Platform(policy=POLICY, store=Store(tmp_path / "store.db")) as platform:
        first = platform.respond(call(DEPLOY))
        assert isinstance(first, GovernanceBlock)
        platform.answer(call(operations.decide_approval(first.details["approval"]["id"], True)))
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: platform.respond(call(DEPLOY)), range(16)))
    assert sorted(type(answer).__name__ for answer in answers) == ["GovernanceBlock"] * 15 + ["RunResponse"]


def test_what_was_approved_is_replayed_as_it_was(ask: Callable[..., Any], store: Store) -> None:
    ask(operations.decide_approval(approval_of(ask, DEPLOY), True))
    ask(DEPLOY)
    records = [recorded_decision(json.loads(entry.record)) for entry in read_log(store)]
    decisions = [each for each in records if each is not None]
    assert [each.decision for each in decisions] == ["BLOCK", "ALLOW"]
    assert [each.changed for each in replay(POLICY, decisions)] == [False, False]


def test_secrets_are_not_shown_to_who_decides(ask: Callable[..., Any]) -> None:
    ask(operations.set_secret("k", "hunter2-hunter2"))
    approval_of(ask, operations.run("deploy with hunter2-hunter2"))
    [waiting] = ask(operations.list_approvals())
    assert waiting.input == "deploy with [secret]"


def test_an_approved_call_that_a_limit_refuses_passes_later(store: Store, clock: Clock) -> None:
    limit = '[[limits]]\nname = "l"\nper = "all"\nrequests = 1\nwindow = "1m"\n'
    policy = Policy.parse(f"{POLICY.text}\n{limit}", "team.toml")
    with Platform(policy=policy, store=store, clock=clock) as platform:

        def ask(operation: Operation[Any]) -> Any:
            return platform.answer(call(operation))

        ask(operations.decide_approval(approval_of(ask, DEPLOY), True))
        ask(operations.run("x"))
        with pytest.raises(RateLimited):
            ask(DEPLOY)
        clock.now += 120
        assert ask(DEPLOY).mode == "ALLOW"


@pytest.mark.parametrize("failing", ["add_trace", "reserve"])
def test_an_approved_call_that_cannot_be_stored_passes_later(clock: Clock, failing: str) -> None:
    class Full(Store):
        """A store that has no room for what follows the use of an approval, until there is some."""

        full = False

        def use_approval(self, call_hash: str, *, now: float) -> StoredApproval | None:
            self.used = super().use_approval(call_hash, now=now)
            return self.used

        def __getattribute__(self, name: str) -> Any:
            if name == failing and self.full and self.used is not None:
                raise StoreError("the disk is full")
            return super().__getattribute__(name)

    store = Full()
    text = POLICY.text + '[[limits]]\nname = "all"\nper = "all"\nrequests = 100\nwindow = "1m"\n'
    with Platform(policy=Policy.parse(text, "team.toml"), store=store, clock=clock) as platform:

        def ask(operation: Operation[Any]) -> Any:
            return platform.answer(call(operation))

        ask(operations.decide_approval(approval_of(ask, DEPLOY), True))
        store.full = True
        with pytest.raises(StoreError):
            ask(DEPLOY)
        store.full = False
        assert ask(DEPLOY).mode == "ALLOW"


def test_an_approved_call_whose_admission_fails_passes_later(clock: Clock) -> None:
    class Busy(Store):
        """A store that reserves nothing until it is free."""

        busy = True

        def reserve(self, charges: Sequence[Charge], *, now: float) -> Reservation | Exhausted:
            if self.busy:
                raise StoreError("the store is locked")
            return super().reserve(charges, now=now)

    limit = '[[limits]]\nname = "l"\nper = "all"\nrequests = 9\nwindow = "1m"\n'
    store = Busy()
    with Platform(policy=Policy.parse(f"{POLICY.text}\n{limit}", "p"), store=store, clock=clock) as platform:

        def ask(operation: Operation[Any]) -> Any:
            return platform.answer(call(operation))

        ask(operations.decide_approval(approval_of(ask, DEPLOY), True))
        with pytest.raises(StoreError):
            ask(DEPLOY)
        store.busy = False
        assert ask(DEPLOY).mode == "ALLOW"


def test_an_approval_that_cannot_be_given_back_is_told_in_the_log(clock: Clock, server_faults: list[str]) -> None:
    class Broken(Store):
        """A store that fails once an approval is used."""

        def add_trace(self, trace: TraceRecord) -> None:
            if trace.decision == "ALLOW":
                raise StoreError("the disk is full")
            super().add_trace(trace)

        def release_approval(self, approval_id: str) -> None:
            raise StoreError("the disk is full")

    with Platform(policy=POLICY, store=Broken(), clock=clock) as platform:

        def ask(operation: Operation[Any]) -> Any:
            return platform.answer(call(operation))

        approval_id = approval_of(ask, DEPLOY)
        ask(operations.decide_approval(approval_id, True))
        with pytest.raises(StoreError):
            ask(DEPLOY)
    assert server_faults.pop() == f"the approval {approval_id} is used, but nothing was executed: the disk is full"


def test_where_traces_keep_no_texts_approvals_keep_none(store: Store) -> None:
    platform = Platform(policy=POLICY, store=store, keep="hash")
    assert isinstance(platform.respond(call(DEPLOY)), GovernanceBlock)
    [waiting] = store.approvals(now=0)
    assert "deploy it" not in repr(waiting)


class TestTools:
    """A tool's call that a model makes, where the same one comes again when the run is repeated."""

    arguments = '{"command": "deploy"}'

    @pytest.fixture
    def ask(self, store: Store) -> Iterator[Callable[..., Any]]:
        async def model(work: Work) -> AsyncIterator[Output]:
            yield Text("on it")
            yield ToolCall("1", "shell", self.arguments)
            yield Finish("tool_calls")

        with Platform(policy=POLICY, store=store, executor=function_executor(model)) as platform:
            yield lambda operation, key=None: platform.answer(call(operation), key=key)

    def test_the_same_call_passes_once(self, ask: Callable[..., Any]) -> None:
        operation = operations.run("ship it")
        error = blocked(ask, operation)
        assert error.details["rule"] == "deploys"
        [waiting] = ask(operations.list_approvals())
        assert (waiting.operation, waiting.input) == ("tool_call", 'shell {"command": "deploy"}')
        assert waiting.trace_id == error.trace_id
        ask(operations.decide_approval(waiting.approval_id, True), key="boss")
        events = list(ask(operations.run_stream("ship it")))
        called = next(event for event in events if event.type == "tool_call")
        assert called.data == {"id": "1", "name": "shell", "arguments": self.arguments}
        trace = ask(operations.governance_trace(called.trace_id))
        assert trace["approvals"] == [{"id": waiting.approval_id, "status": "used", "by": "boss"}]
        blocked(ask, operation)

    def test_a_changed_call_does_not_pass(self, ask: Callable[..., Any]) -> None:
        operation = operations.run("ship it")
        ask(operations.decide_approval(approval_of(ask, operation), True))
        self.arguments = '{"command":  "deploy"}'
        blocked(ask, operation)

    def test_other_rules_hold_for_what_was_approved(self, ask: Callable[..., Any]) -> None:
        self.arguments = '{"command": "deploy", "when": "friday"}'
        error = blocked(ask, operations.run("ship it"))
        assert (error.details["rule"], "approval" in error.details) == ("friday", False)

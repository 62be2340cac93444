"""The operations that came after 1.0, through the requests that a client sends for them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hestiaos_local import Agent, Platform, Policy, Store
from hestiaos_local.execution import Output, ToolCall, Work, function_executor
from hestiaos_local.governance import Facts, charges_for
from hestiaos_local.operations._audit import audit_operations
from hestiaos_local.operations._policies import policy_operations
from hestiaos_local.storage import Approval as StoredApproval
from hestiaos_proto import (
    AgentInfo,
    Approval,
    Config,
    GovernanceBlock,
    InvalidInput,
    NotFound,
    Operation,
    ServerRequest,
    SessionInfo,
    StatusError,
    TraceResponse,
    operations,
    parse_request,
)

BLOCKED = "rm -rf /"
POLICY = """\
version = 2
name = "team"

[[rules]]
name = "no-wiping"
on = ["input", "tool"]
pattern = '\\brm\\s+-\\w*[rf]'
decision = "BLOCK"
reason = "destroys files"

[[rules]]
name = "keys"
on = ["input", "output"]
pattern = 'sk-[a-z]{4}'
action = "redact"
mode = "shadow"
"""
PINS = """
[[rules]]
name = "pins"
on = "output"
pattern = 'PIN'
action = "redact"
"""


def call(operation: Operation[Any]) -> ServerRequest:
    request = operation.request(Config())
    return parse_request(request.method, request.target, {}, request.body)


def asking(platform: Platform) -> Callable[[Operation[Any]], Any]:
    return lambda operation: platform.answer(call(operation))


@pytest.fixture
def ask() -> Iterator[Callable[[Operation[Any]], Any]]:
    """Asks a platform with ids that are counted, at a time that stands still."""
    ids = count(1)
    with Platform(clock=lambda: 1000.0, new_id=lambda: f"id-{next(ids)}") as platform:
        yield asking(platform)


def refused(ask: Callable[[Operation[Any]], Any], operation: Operation[Any]) -> tuple[list[str], str]:
    with pytest.raises(InvalidInput) as caught:
        ask(operation)
    [problem] = caught.value.details
    assert problem["msg"] == caught.value.message
    return problem["loc"], caught.value.message


class TestTraces:
    def test_the_newest_are_listed_first_page_by_page(self, ask: Callable[[Operation[Any]], Any]) -> None:
        for number in range(5):
            ask(operations.run(f"x{number}"))
        with pytest.raises(GovernanceBlock):
            ask(operations.run(BLOCKED))
        newest, *others = ask(operations.list_traces())
        assert isinstance(newest, TraceResponse)
        assert (newest.trace_id, newest.decision) == ("id-6", "BLOCK")
        assert newest.extra["input"] == BLOCKED
        assert newest.extra["outcome"] == "blocked"
        assert [each.trace_id for each in others] == ["id-5", "id-4", "id-3", "id-2", "id-1"]
        page = ask(operations.list_traces(limit=2))
        assert [each.trace_id for each in page] == ["id-6", "id-5"]
        page = ask(operations.list_traces(limit=2, before="id-5"))
        assert [each.trace_id for each in page] == ["id-4", "id-3"]
        assert ask(operations.list_traces(before="id-1")) == []
        assert ask(operations.list_traces(decision="BLOCK")) == [newest]
        assert ask(operations.list_traces(decision="THROTTLE")) == []

    def test_one_is_what_the_list_says_of_it(self, ask: Callable[[Operation[Any]], Any]) -> None:
        ask(operations.chat("hello", session_id="s"))
        [listed] = ask(operations.list_traces())
        assert listed.to_wire() == ask(operations.governance_trace("id-1"))

    def test_long_inputs_are_cut(self, ask: Callable[[Operation[Any]], Any]) -> None:
        for length in (1000, 1001):
            ask(operations.run("é" * length))
        cut, whole = ask(operations.list_traces())
        assert cut.extra["input"] == "é" * 1000 + "…"
        assert whole.extra["input"] == "é" * 1000

    def test_long_calls_of_tools_are_cut_too(self) -> None:
        async def model(work: Work) -> AsyncIterator[Output]:
            for number in range(11):
                yield ToolCall(str(number), "shell", json.dumps({"command": "é" * 1000}))

        with Platform(executor=function_executor(model)) as platform:
            asking(platform)(operations.run("x"))
            [listed] = asking(platform)(operations.list_traces())
            whole = asking(platform)(operations.governance_trace(listed.trace_id))
        assert len(whole["tool_calls"]) == 11
        assert [len(each["arguments"]) for each in listed.extra["tool_calls"]] == [1001] * 10

    @pytest.mark.parametrize(
        ("operation", "name", "told"),
        [
            (operations.list_traces(limit=0), "limit", "limit must be 1 or more"),
            (operations.list_traces(limit=1001), "limit", "limit must be 1000 or less"),
            (operations.list_traces(decision="block"), "decision", "decision must be ALLOW, THROTTLE or BLOCK"),
            (operations.list_sessions(limit=-1), "limit", "limit must be 1 or more"),
            (operations.get_session("s", last=-1), "last", "last must be 0 or more"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_arguments_that_do_not_fit(
        self, ask: Callable[[Operation[Any]], Any], operation: Operation[Any], name: str, told: str
    ) -> None:
        assert refused(ask, operation) == (["query", name], told)


class TestSessions:
    def test_they_are_listed_read_and_deleted(self, ask: Callable[[Operation[Any]], Any]) -> None:
        for session_id in ("a", "b", "a"):
            ask(operations.chat("hello", session_id=session_id))
        time = "1970-01-01T00:16:40.000+00:00"
        a, b = SessionInfo("a", time, 4), SessionInfo("b", time, 2)
        assert ask(operations.list_sessions()) == [b, a]  # used at the same time
        assert ask(operations.list_sessions(limit=1)) == [b]
        assert ask(operations.list_sessions(before="b")) == [a]
        messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "processed: hello"}]
        assert ask(operations.get_session("a")) == SessionInfo("a", time, 4, messages * 2)
        assert ask(operations.get_session("a", last=1)).messages == messages[1:]
        assert ask(operations.get_session("a", last=0)).messages == []
        assert ask(operations.delete_session("a")) is None
        assert ask(operations.list_sessions()) == [b]

    @pytest.mark.parametrize(
        "operation",
        [
            operations.get_session("no/such"),
            operations.delete_session("no/such"),
            operations.list_sessions(before="no/such"),
        ],
        ids=lambda operation: operation.name,
    )
    def test_one_that_is_not_there(self, ask: Callable[[Operation[Any]], Any], operation: Operation[Any]) -> None:
        with pytest.raises(NotFound) as caught:
            ask(operation)
        assert (caught.value.code, caught.value.message) == ("NOT_FOUND", "there is no session 'no/such'")


def test_agents(ask: Callable[[Operation[Any]], Any]) -> None:
    assert ask(operations.list_agents()) == []
    agent = Agent(id="a", system="be kind", model="m", tools=frozenset({"b", "a"}), max_tokens=5, timeout=1.5)
    with Platform(agents={"a": agent, "b": Agent(id="b")}) as platform:
        listed = asking(platform)(operations.list_agents())
    assert listed == [AgentInfo("a", "m", "be kind", ["a", "b"], 5, 1500), AgentInfo("b")]


def test_the_keys_of_secrets(ask: Callable[[Operation[Any]], Any]) -> None:
    assert ask(operations.list_secrets()) == []
    for key in ("b", "a/b"):
        ask(operations.set_secret(key, "hush"))
    assert ask(operations.list_secrets()) == ["a/b", "b"]


class TestPolicy:
    def test_it_is_shown(self, ask: Callable[[Operation[Any]], Any]) -> None:
        shown = ask(operations.get_policy())
        assert (shown["name"], shown["version"]) == ("default", 2)
        assert Policy.parse(shown["text"], "again").hash == shown["hash"] == Policy.default().hash

    def test_it_judges_and_says_why(self, ask: Callable[[Operation[Any]], Any]) -> None:
        told = ask(operations.judge(input="rm\u200b  -rf /"))
        assert (told["decision"], told["rule"], told["risk_score"]) == ("BLOCK", "destructive-shell", 1.0)
        assert told["reason"] == "the input deletes files beyond recovery"
        assert told["forms"] == ["rm -rf /"]
        assert (told["redactions"], told["shadow"], told["approval"]) == ([], [], False)
        assert told["policy_hash"] == Policy.default().hash
        assert ask(operations.judge(input="x", command_type="WIPE"))["decision"] == "BLOCK"
        assert ask(operations.governance_status())["decisions"]["BLOCK"] == 0  # nothing is kept of it

    @pytest.mark.parametrize(
        ("operation", "place", "told"),
        [
            (operations.judge(), "input", "give one of input, output and tool, not none"),
            (operations.judge(input="", tool="t"), "input", "give one of input, output and tool, not input and tool"),
            (operations.judge(input="x", arguments={}), "arguments", "arguments needs tool, which is missing"),
        ],
    )
    def test_what_is_not_one_thing_is_not_judged(
        self, ask: Callable[[Operation[Any]], Any], operation: Operation[Any], place: str, told: str
    ) -> None:
        assert refused(ask, operation) == (["body", place], told)

    def test_what_it_redacts_and_what_rules_in_shadow_mode_would_do(self) -> None:
        pytest.importorskip("re2")
        policy = Policy.parse(POLICY + PINS, "team.toml")
        judge = policy_operations(lambda: policy)["judge"]
        told: Any = judge(operations.judge(output="the key sk-abcd and a PIN").arguments, None)
        assert told["redactions"] == [{"rule": "pins", "start": 22, "end": 25}]
        assert told["shadow"] == [{"rule": "keys", "decision": "redact", "risk_score": 0.0}]
        assert (told["decision"], told["rule"], told["policy"]) == ("ALLOW", None, "team")
        told = judge(operations.judge(tool="shell", arguments={"command": ["rm -f x"]}).arguments, None)
        assert (told["decision"], told["rule"], told["approval"]) == ("BLOCK", "no-wiping", False)
        assert told["forms"] == []

    def test_the_text_of_another_one_is_tested(self, ask: Callable[[Operation[Any]], Any]) -> None:
        pytest.importorskip("re2")
        tests = '[[tests]]\ninput = "rm -rf /"\nexpect = "BLOCK"\n[[tests]]\ninput = "ls"\nexpect = "BLOCK"\n'
        told = ask(operations.test_policy(POLICY + tests))
        assert told == {
            "name": "team",
            "hash": told["hash"],
            "tests": 2,
            "mistakes": [],
            "failures": ["policy, line 20: the test expects BLOCK, not ALLOW"],
        }
        assert ask(operations.test_policy(POLICY))["failures"] == []
        assert ask(operations.get_policy())["name"] == "default"  # the one that decides stays

    def test_all_mistakes_of_a_text_are_told_with_their_lines(self, ask: Callable[[Operation[Any]], Any]) -> None:
        pytest.importorskip("re2")
        told = ask(operations.test_policy(POLICY.replace('"BLOCK"', '"STOP"').replace('"redact"', '"hide"')))
        assert (told["name"], told["tests"], told["failures"]) == (None, 0, [])
        assert [line.partition(":")[0] for line in told["mistakes"]] == ["policy, line 8", "policy, line 15"]


class TestApprovals:
    @pytest.fixture
    def store(self) -> Store:
        return Store()

    @pytest.fixture
    def now(self) -> list[float]:
        return [1000.0]

    @pytest.fixture
    def decide(self, store: Store, now: list[float]) -> Iterator[Callable[..., Any]]:
        """Decides with a key of a name."""
        for name in ("a", "b"):
            store.add_approval(
                StoredApproval(
                    id=name, call_hash=name, created_at=1000.0, expires_at=2000.0, facts={"rule": "r", "session": "s"}
                ),
                now=1000.0,
            )
        with Platform(store=store, clock=lambda: now[0]) as platform:
            yield lambda operation, key=None: platform.answer(call(operation), key=key)

    def test_they_are_listed(self, decide: Callable[..., Any]) -> None:
        newest, oldest = decide(operations.list_approvals())
        time, expires = "1970-01-01T00:16:40.000+00:00", "1970-01-01T00:33:20.000+00:00"
        assert newest == Approval("b", "pending", time, expires, rule="r")
        assert newest.extra == {"session": "s"}
        assert oldest.approval_id == "a"
        assert decide(operations.list_approvals(limit=1)) == [newest]
        assert decide(operations.list_approvals(status="used")) == []

    @pytest.mark.parametrize("approve", [True, False])
    def test_who_decides_is_kept_and_the_same_again_is_no_mistake(
        self, decide: Callable[..., Any], approve: bool
    ) -> None:
        first = decide(operations.decide_approval("a", approve), key="boss")
        assert (first.status, first.by) == ("approved" if approve else "denied", "boss")
        assert decide(operations.decide_approval("a", approve), key="other") == first
        assert [each.status for each in decide(operations.list_approvals())] == ["pending", first.status]

    def test_without_keys_nobody_is_named(self, decide: Callable[..., Any]) -> None:
        assert decide(operations.decide_approval("a", True)).by is None

    def test_another_decision_is_too_late(self, decide: Callable[..., Any], store: Store, now: list[float]) -> None:
        decide(operations.decide_approval("a", True))
        self.refused(decide, "a", False, "the approval was approved already")
        assert store.use_approval("a", now=now[0]) is not None
        self.refused(decide, "a", False, "the approval was approved already, and its call was made")
        assert decide(operations.decide_approval("a", True)).status == "used"
        decide(operations.decide_approval("b", False))
        self.refused(decide, "b", True, "the approval was denied already")

    @pytest.mark.parametrize("approve", [True, False])
    def test_what_has_expired_is_not_decided(self, decide: Callable[..., Any], now: list[float], approve: bool) -> None:
        now[0] = 2000.0
        self.refused(decide, "a", approve, "the approval has expired: make the call again to request a new one")

    def test_one_that_is_not_there(self, decide: Callable[..., Any]) -> None:
        with pytest.raises(NotFound, match="there is no approval 'c'"):
            decide(operations.decide_approval("c", True))

    @staticmethod
    def refused(decide: Callable[..., Any], approval_id: str, approve: bool, message: str) -> None:
        with pytest.raises(StatusError) as caught:
            decide(operations.decide_approval(approval_id, approve))
        error = caught.value
        assert (error.status_code, error.code, error.message) == (409, "APPROVAL_DECIDED", message)


class TestAudit:
    def test_it_is_intact_and_comes_a_page_at_a_time(self, ask: Callable[[Operation[Any]], Any]) -> None:
        assert ask(operations.export_audit()) == {"records": [], "next": None}
        ask(operations.run("x"))
        ask(operations.run("y"))
        first = ask(operations.export_audit(limit=3))
        assert [record["number"] for record in first["records"]] == [1, 2, 3]
        assert [record["record"]["phase"] for record in first["records"]] == ["decided", "finished", "decided"]
        assert first["next"] == 3
        rest = ask(operations.export_audit(after=3))
        assert (rest["records"][0]["previous"], rest["next"]) == (first["records"][2]["hash"], None)
        assert ask(operations.verify_audit()) == {
            "intact": True,
            "records": 4,
            "first": 1,
            "anchor": f"0:{'00' * 32}",
            "head": f"4:{rest['records'][0]['hash']}",
            "faults": [],
            "more_faults": 0,
        }

    def test_a_page_of_large_records_is_short(self, ask: Callable[[Operation[Any]], Any]) -> None:
        ask(operations.run("x" * 3_000_000))
        ask(operations.run("x" * 3_000_000))
        first = ask(operations.export_audit())
        assert first["next"] == len(first["records"]) < 4  # more than 4 MiB
        rest = ask(operations.export_audit(after=first["next"]))
        assert [each["number"] for each in first["records"] + rest["records"]] == [1, 2, 3, 4]

    def test_an_earlier_head_has_to_be_there_still(self, ask: Callable[[Operation[Any]], Any]) -> None:
        ask(operations.run("x"))
        head = ask(operations.verify_audit())["head"]
        ask(operations.run("y"))
        assert ask(operations.verify_audit(known=head))["intact"]
        other = ask(operations.verify_audit(known=f"2:{'ab' * 32}"))
        assert other["faults"] == [{"number": 2, "what": "its hash differs from the known one"}]
        assert not ask(operations.verify_audit(known=f"9:{'ab' * 32}"))["intact"]
        for known in ("", "9", "x:ab", "9:xy"):
            place, message = refused(ask, operations.verify_audit(known=known))
            assert (place, message[:16]) == (["query", "known"], "known must be a ")

    def test_a_change_is_told_with_its_place(self, tmp_path: Path) -> None:
        path = tmp_path / "store.db"
        with Platform(store=Store(path)) as platform:
            asking(platform)(operations.run("x"))
            with closing(sqlite3.connect(path)) as db, db:
                db.execute("UPDATE log SET record = replace(record, 'ALLOW', 'BLOCK') WHERE number = 1")
            report = asking(platform)(operations.verify_audit())
        assert (report["intact"], report["faults"][0]["number"]) == (False, 1)
        assert report["faults"][0]["what"] == "it was changed, or does not follow the preceding entry"


def test_limits_and_what_is_used_of_them() -> None:
    pytest.importorskip("re2")
    text = (
        'version = 2\n[[limits]]\nname = "per key"\nper = "key"\nrequests = 5\nwindow = "1m"\n'
        '[[limits]]\nname = "all"\nper = "all"\ntokens = 100\nwindow = "1h"\n'
    )
    policy, store = Policy.parse(text, "p"), Store()
    charges = charges_for(policy.limits, policy.judge(Facts(key="k")), Facts(key="k"), 7)
    store.reserve(charges, now=1000.0)
    limits: Any = audit_operations(store, lambda: policy, lambda: 1000.0)["get_limits"]({}, None)
    assert limits == {
        "limits": [
            {
                "name": "per key",
                "per": "key",
                "window": 60.0,
                "requests": 5,
                "tokens": None,
                "used": [{"subject": "k", "requests": 1, "tokens": 0}],
            },
            {
                "name": "all",
                "per": "all",
                "window": 3600.0,
                "requests": None,
                "tokens": 100,
                "used": [{"subject": "", "requests": 1, "tokens": 7}],
            },
        ]
    }


def test_an_operation_that_the_platform_does_not_have(platform: Platform) -> None:
    with pytest.raises(NotFound, match="there is no operation 'nothing'") as caught:
        platform.answer(ServerRequest("nothing", {}, {}))
    assert caught.value.code == "UNKNOWN_OPERATION"

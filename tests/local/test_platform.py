"""The platform: each operation, through the requests that a client sends for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from hestiaos_local import Platform, Policy, Store
from hestiaos_local.execution import Work, function_executor
from hestiaos_local.operations import MAX_OUTPUT
from hestiaos_proto import (
    AgentResult,
    ChatResponse,
    Config,
    GovernanceBlock,
    HealthResponse,
    InvalidInput,
    NotFound,
    Operation,
    RunResponse,
    ServerRequest,
    StatusError,
    StreamEvent,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    __version__,
    operations,
    parse_request,
)

BLOCKED = "rm -rf /"
THROTTLED = "bulk update"


def call(operation: Operation[Any], key: str | None = None) -> ServerRequest:
    request = operation.request(Config(), key)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return parse_request(request.method, request.target, headers, request.body)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def ask(store: Store) -> Iterator[Callable[..., Any]]:
    """Asks a platform whose clock goes on by a quarter of a second at each look, and whose ids are counted."""
    times, ids = count(1000, 0.25), count(1)
    with Platform(store=store, clock=lambda: next(times), new_id=lambda: f"id-{next(ids)}") as platform:
        yield lambda operation, key=None: platform.answer(call(operation, key))


def test_run(ask: Callable[..., Any]) -> None:
    assert ask(operations.run("create a report")) == RunResponse(
        result="processed: create a report",
        trace_id="id-1",
        output="processed: create a report",
        mode="ALLOW",
        budget=1.0,
        latency_ms=250.0,
    )


@pytest.mark.parametrize(("hint", "budget"), [(None, 1.0), ("fast", 0.25), ("balanced", 0.5), ("deep", 1.0)])
def test_mode_hint_scales_the_budget(ask: Callable[..., Any], hint: Any, budget: float) -> None:
    assert ask(operations.run("x", mode_hint=hint)).budget == budget
    throttled = ask(operations.run(THROTTLED, mode_hint=hint))
    assert (throttled.mode, throttled.budget) == ("THROTTLE", budget / 2)


@pytest.mark.parametrize(
    ("operation", "message", "place"),
    [
        (operations.run(""), "input must not be empty", ["body", "input"]),
        (operations.run_stream(" \n"), "input must not be empty", ["body", "input"]),
        (
            operations.run("x", mode_hint="slow"),  # type: ignore[arg-type]  # what a type checker would refuse
            "mode_hint must be fast, balanced or deep",
            ["body", "context", "mode_hint"],
        ),
        (operations.run("x", timeout_ms=0), "timeout_ms must be 1 or more", ["body", "options", "timeout_ms"]),
        (operations.chat(""), "message must not be empty", ["body", "message"]),
        (operations.run_agent("a", " "), "task must not be empty", ["body", "task"]),
        (operations.run_agent("", "t"), "agent_id must not be empty", ["body", "agent_id"]),
    ],
)
def test_what_does_not_fit_is_refused(
    ask: Callable[..., Any], operation: Operation[Any], message: str, place: list[str]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        ask(operation)
    assert caught.value.message == message
    assert caught.value.details == [{"loc": place, "msg": message, "type": "value_error"}]
    assert sum(ask(operations.governance_status())["decisions"].values()) == 0


def test_a_lone_surrogate_is_refused(platform: Platform) -> None:
    with pytest.raises(InvalidInput, match="lone surrogate"):
        platform.answer(parse_request("POST", "/api/v1/run", {}, b'{"input": "\\ud800"}'))


def test_an_unknown_operation_is_refused(platform: Platform) -> None:
    with pytest.raises(NotFound, match="/api/v2/run"):
        platform.answer(parse_request("POST", "/api/v2/run", {}, b""))
    with pytest.raises(StatusError, match="allows GET, HEAD, not PUT"):
        platform.answer(parse_request("PUT", "/api/v1/health", {}, b""))


def test_a_long_result_is_sent_once(ask: Callable[..., Any]) -> None:
    text = "y" * MAX_OUTPUT
    response = ask(operations.run(text))
    assert (response.result, response.output) == (f"processed: {text}", None)


@pytest.mark.parametrize("text", ["create a report", "x", " two  lines\nand a tab\t ", "é \u2028 \N{HOUSE BUILDING}"])
def test_run_stream(ask: Callable[..., Any], text: str) -> None:
    events = list(ask(operations.run_stream(text)))
    tokens = events[1:-2]
    assert [event.type for event in events] == ["start", *["token"] * len(tokens), "final", "done"]
    assert [event.data["index"] for event in tokens] == list(range(len(tokens)))
    assert [event.data["text"].strip() for event in tokens] == ["processed:", *text.split()]
    assert "".join(event.data["text"] for event in tokens) == f"processed: {text}"
    assert events[0].data == {"mode": "ALLOW", "budget": 1.0}
    assert RunResponse.from_wire(events[-2].data) == RunResponse(
        f"processed: {text}", "id-1", f"processed: {text}", "ALLOW", 1.0, 250.0
    )
    assert {event.trace_id for event in events} == {"id-1"}
    assert events[0].timestamp == "1970-01-01T00:16:41.000+00:00"  # before the work begins
    assert ask(operations.trace("id-1")).decision == "ALLOW"


def test_a_long_stream_is_made_as_it_is_read(ask: Callable[..., Any]) -> None:
    events = ask(operations.run_stream("word " * 1_000_000))
    assert [next(events).type for _ in range(3)] == ["start", "token", "token"]
    # The clock was looked at seven times up to the second event, and then once for each that was read.
    assert next(events).timestamp == "1970-01-01T00:16:42.250+00:00"
    events.close()


def test_a_blocked_run_leaves_a_trace(ask: Callable[..., Any]) -> None:
    for number, operation in enumerate(
        [operations.run(BLOCKED), operations.run_stream(BLOCKED), operations.chat(BLOCKED)], 1
    ):
        with pytest.raises(GovernanceBlock) as caught:
            ask(operation)
        assert caught.value.trace_id == f"id-{number}"
        trace = ask(operations.trace(f"id-{number}"))
        assert (trace.decision, trace.budget, trace.violations[0]["rule"]) == ("BLOCK", 0.0, "destructive-shell")


def test_traces(ask: Callable[..., Any]) -> None:
    ask(operations.run(THROTTLED))
    reason = "bulk operations are slowed down"
    trace = TraceResponse(
        trace_id="id-1",
        decision="THROTTLE",
        violations=[{"rule": "bulk-operation", "decision": "THROTTLE", "risk_score": 0.5, "reason": reason}],
        latency_ms=250.0,
        reason=reason,
        risk_score=0.5,
        policy="default",
        mode="THROTTLE",
        budget=0.5,
        timestamp="1970-01-01T00:16:40.500+00:00",
    )
    assert ask(operations.trace("id-1")) == trace
    command = {
        "command_id": "id-1",
        "command_type": "RUN",
        "input": THROTTLED,
        "model": "hestia-local",
        "policy_hash": Policy.default().hash,
    }
    ended = {
        "outcome": "completed",
        "output": "processed: bulk update",
        "milliseconds": 250.0,
        "input_tokens": 2,
        "output_tokens": 3,
    }
    assert ask(operations.governance_trace("id-1")) == trace.to_wire() | command | ended


def test_every_kind_of_execution_leaves_a_trace(ask: Callable[..., Any]) -> None:
    made = {
        "RUN": ask(operations.run("x")).trace_id,
        "CHAT": ask(operations.chat("x", session_id="s")).trace_id,
        "AGENT": ask(operations.run_agent("a", "x")).trace_id,
    }
    assert {
        kind: ask(operations.governance_trace(trace_id))["command_type"] for kind, trace_id in made.items()
    } == dict(zip(made, made, strict=True))


def test_an_unknown_trace_is_named(ask: Callable[..., Any]) -> None:
    for operation in (operations.trace("no/such"), operations.governance_trace("no/such")):
        with pytest.raises(NotFound, match="there is no trace 'no/such'"):
            ask(operation)


def test_explain_decides_alike_and_stores_nothing(ask: Callable[..., Any]) -> None:
    told = {
        "command_type": "WRITE",
        "decision": "ALLOW",
        "reason": "no rule matches",
        "risk_score": 0.0,
        "policy": "default",
        "violations": [],
    }
    assert ask(operations.explain("WRITE", {"path": "/tmp/test"})) == told
    assert ask(operations.explain("WRITE", {"path": "/tmp/test"})) == told
    nested = ask(operations.explain("SHELL", {"steps": [1, None, {"do": BLOCKED}]}))
    assert (nested["decision"], nested["risk_score"]) == ("BLOCK", 1.0)
    assert ask(operations.explain("WIPE"))["decision"] == "BLOCK"
    assert ask(operations.explain("RUN", {"input": THROTTLED}))["decision"] == "THROTTLE"
    assert sum(ask(operations.governance_status())["decisions"].values()) == 0


def test_governance_status(ask: Callable[..., Any]) -> None:
    steady = {"stability_score": 1.0, "drift_score": 0.0, "policy": "default"}
    assert ask(operations.governance_status()) == steady | {"decisions": {"ALLOW": 0, "THROTTLE": 0, "BLOCK": 0}}
    for _ in range(100):
        ask(operations.run("x"))
    assert ask(operations.governance_status()) == steady | {"decisions": {"ALLOW": 100, "THROTTLE": 0, "BLOCK": 0}}
    for _ in range(100):
        ask(operations.run(THROTTLED))
    # Half of all executions were restricted, and all of the newest 100.
    assert ask(operations.governance_status()) == {
        "stability_score": 0.5,
        "drift_score": 0.5,
        "decisions": {"ALLOW": 100, "THROTTLE": 100, "BLOCK": 0},
        "policy": "default",
    }


def test_chat(ask: Callable[..., Any], store: Store) -> None:
    reply = ask(operations.chat("Hello!"))
    assert reply == ChatResponse(
        result="processed: Hello!", session_id="id-2", trace_id="id-1", processing_time=1.25, model="hestia-local"
    )
    assert ask(operations.chat("Again", session_id="id-2")).session_id == "id-2"
    assert ask(operations.chat("Hello!", session_id="abc")).session_id == "abc"
    assert [(message["role"], message["content"]) for message in store.messages("id-2")] == [
        ("user", "Hello!"),
        ("assistant", "processed: Hello!"),
        ("user", "Again"),
        ("assistant", "processed: Again"),
    ]


def test_run_agent(ask: Callable[..., Any]) -> None:
    assert ask(operations.run_agent("agent-1", "analyze data", config={"depth": 2})) == AgentResult(
        result="processed: analyze data", agent_id="agent-1", trace_id="id-1", status="COMPLETED", error=None
    )
    assert ask(operations.run_agent("agent-1", BLOCKED)) == AgentResult(
        result=None,
        agent_id="agent-1",
        trace_id="id-2",
        status="BLOCKED",
        error="the input deletes files beyond recovery",
    )


@pytest.mark.parametrize("key", ["my-key", "../x", "a/b?c#d", "%2F", "\N{HOUSE BUILDING}"])
def test_secrets(ask: Callable[..., Any], key: str) -> None:
    ask(operations.set_secret(key, "my-value", provider="vault"))
    assert ask(operations.get_secret(key)) == "my-value"
    ask(operations.delete_secret(key))
    for operation in (operations.get_secret(key), operations.delete_secret(key)):
        with pytest.raises(NotFound) as caught:
            ask(operation)
        assert caught.value.message == f"there is no secret {key!r}"


def test_health_and_system(ask: Callable[..., Any]) -> None:
    assert ask(operations.health()) == HealthResponse("ok", __version__, 0.5, "v1")
    status = ask(operations.system_status())
    assert isinstance(status, SystemStatus)
    assert (status.status, status.version, status.ollama, status.vllm, status.dsgk, status.storage) == (
        ("OK", __version__, False, False, True, True)
    )


def test_storage_that_does_not_answer_is_reported(store: Store) -> None:
    platform = Platform(store=store)
    platform.close()
    platform.close()
    status = platform.answer(call(operations.system_status()))
    assert isinstance(status, SystemStatus)
    assert (status.dsgk, status.storage) == (False, False)


def test_config_tells_no_secret(ask: Callable[..., Any]) -> None:
    ask(operations.set_secret("my-key", "my-value"))
    config = ask(operations.system_config())
    assert (config["policy"], config["storage"], config["version"]) == ("default", "memory", __version__)
    assert config["limits"] == {"max_body_bytes": 16 * 1024**2, "max_output_chars": MAX_OUTPUT, "kept_results": 10_000}
    assert "my-value" not in repr(config)


def test_metrics_are_counted() -> None:
    now = [5000.0]
    with Platform(clock=lambda: now[0]) as platform:
        platform.answer(call(operations.chat("x", session_id="s")))
        platform.answer(call(operations.chat("x", session_id="t")))
        now[0] += 1801
        platform.answer(call(operations.chat("x", session_id="t")))
        with pytest.raises(NotFound):
            platform.answer(call(operations.trace("none")))
        metrics = platform.answer(call(operations.system_metrics()))
    assert isinstance(metrics, SystemMetrics)
    assert (metrics.requests_total, metrics.active_sessions, metrics.avg_latency_ms) == (5, 1, 0.0)
    assert metrics.cpu_percent is not None
    assert metrics.cpu_percent > 0
    assert metrics.memory_percent is not None
    assert 0 <= metrics.memory_percent <= 100
    assert (metrics.gpu_percent, metrics.vram_percent, metrics.vram_used_bytes, metrics.vram_total_bytes) == (None,) * 4
    assert SystemMetrics.from_wire(metrics.to_wire()) == metrics


def test_latency_is_the_mean_over_the_requests(ask: Callable[..., Any]) -> None:
    ask(operations.explain("X"))  # one step of the clock
    ask(operations.health())  # two: its uptime looks at the clock too
    assert ask(operations.system_metrics()).avg_latency_ms == pytest.approx(375.0)


@pytest.mark.parametrize(
    "operation",
    [operations.run("x"), operations.run(THROTTLED), operations.chat("x"), operations.run_agent("a", "x")],
    ids=lambda operation: operation.name,
)
def test_a_repeated_key_gives_the_first_result(ask: Callable[..., Any], operation: Operation[Any]) -> None:
    first = ask(operation, "k1")
    assert ask(operation, "k1") == first
    assert ask(operation, "k2").trace_id != first.trace_id
    assert ask(operation).trace_id != first.trace_id
    assert sum(ask(operations.governance_status())["decisions"].values()) == 3


def test_a_repeated_key_gives_the_same_stream_and_block(ask: Callable[..., Any]) -> None:
    first, second = (list(ask(operations.run_stream("a b"), "k1")) for _ in range(2))
    assert [(event.type, event.data) for event in first] == [(event.type, event.data) for event in second]
    traces = []
    for _ in range(2):
        with pytest.raises(GovernanceBlock) as caught:
            ask(operations.run(BLOCKED), "k2")
        traces.append(caught.value.trace_id)
    assert traces == ["id-2", "id-2"]


def test_a_repeated_key_with_another_request_is_refused(ask: Callable[..., Any]) -> None:
    ask(operations.run("x"), "k")
    for operation in (operations.run("y"), operations.chat("x")):
        with pytest.raises(InvalidInput, match="use a new key"):
            ask(operation, "k")


def test_a_key_outlives_the_platform(tmp_path: Any) -> None:
    first, second = (_run_in_file(tmp_path / "store.db") for _ in range(2))
    assert first == second


def _run_in_file(path: Any) -> object:
    with Platform(store=Store(path)) as platform:
        return platform.answer(call(operations.run("x"), "k"))


def test_an_own_policy_decides() -> None:
    text = 'version = 1\nname = "strict"\n[[rules]]\nname = "all"\non = "command"\npattern = "CHAT"\n'
    policy = Policy.parse(f'{text}decision = "BLOCK"\nrisk = 1\nreason = "no chats"', "p")
    with Platform(policy=policy) as platform:
        with pytest.raises(GovernanceBlock):
            platform.answer(call(operations.chat("hello")))
        explained = platform.answer(call(operations.explain("CHAT")))
    assert isinstance(explained, dict)
    assert (explained["policy"], explained["reason"]) == ("strict", "no chats")


def test_respond_gives_what_was_raised(platform: Platform, server_faults: list[str]) -> None:
    assert isinstance(platform.respond(call(operations.run(BLOCKED))), GovernanceBlock)
    assert server_faults == []
    platform.close()
    assert isinstance(platform.respond(call(operations.run("x"))), Exception)
    assert "run failed" in server_faults.pop()


def test_a_stream_that_fails_ends_with_its_error(server_faults: list[str]) -> None:
    def fail(work: Work) -> Iterator[str]:
        yield "half "
        raise ZeroDivisionError

    with Platform(executor=function_executor(fail)) as platform:
        events = platform.respond(call(operations.run_stream("a b c")))
        assert isinstance(events, Iterator)
        told: list[StreamEvent] = list(events)
    assert [event.type for event in told] == ["start", "token", "error", "done"]
    assert told[2].data["code"] == "INTERNAL_ERROR"
    assert "a stream failed" in server_faults.pop()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"policy": "policy.toml"}, "policy must be a Policy, such as Policy.load(path), not str"),
        ({"store": "hestia.sqlite3"}, "store must be a Storage, such as Store(path), not str"),
        ({"executor": len}, "executor must be an Executor, such as function_executor(function), not builtin_fun"),
        ({"keep": "hashes"}, "keep must be 'text' or 'hash', not 'hashes'"),
    ],
)
def test_an_argument_of_another_kind(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        Platform(**arguments)
    assert str(caught.value).startswith(told)


def test_a_reload_with_something_else_than_a_policy_changes_nothing() -> None:
    replacement: Any = "policy.toml"
    with Platform() as platform:
        with pytest.raises(TypeError, match=r"^policy must be a Policy"):
            platform.reload(replacement)
        result = platform.answer(call(operations.run("x")))
    assert isinstance(result, RunResponse)
    assert result.mode == "ALLOW"

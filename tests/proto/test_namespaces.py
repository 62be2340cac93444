"""The namespaces: each method makes its operation, and hands it to the executor with the options of the call."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from hestiaos_proto import CallOptions, Hooks, _governance, _namespaces, _streaming_chats, operations
from hestiaos_proto._runs import AsyncRuns, Runs
from hestiaos_proto.operations import Operation

CLASSES: dict[str, Any] = {
    **vars(_namespaces),
    **vars(_governance),
    **vars(_streaming_chats),
    "Runs": Runs,
    "AsyncRuns": AsyncRuns,
}
RUN_OF_ALL = operations.run("hi", session_id="s", agent_id="a", mode_hint="deep", timeout_ms=5, stream=True)
JUDGED: dict[str, Any] = {
    "input": "i",
    "output": "o",
    "tool": "t",
    "arguments": {"k": 1},
    "command_type": "CHAT",
    "agent": "a",
    "session": "s",
    "key": "k",
    "model": "m",
}

# Each method, its arguments, and the operation that it makes.
METHODS: list[tuple[str, str, tuple[Any, ...], dict[str, Any], Operation[Any]]] = [
    ("Runs", "run", ("hi",), {}, operations.run("hi")),
    ("Runs", "run", ("hi", "s", "a", "deep", 5, True), {}, RUN_OF_ALL),
    (
        "Runs",
        "run",
        ("hi",),
        {"session_id": "s", "agent_id": "a", "mode_hint": "deep", "timeout_ms": 5, "stream": True},
        RUN_OF_ALL,
    ),
    ("Runs", "health", (), {}, operations.health()),
    ("Runs", "trace", ("t",), {}, operations.trace("t")),
    ("Chat", "run", ("hi",), {}, operations.chat("hi")),
    ("Chat", "run", ("hi",), {"session_id": "s"}, operations.chat("hi", session_id="s")),
    ("Chat", "run", ("hi", "s"), {}, operations.chat("hi", session_id="s")),
    ("Agents", "run", ("a", "t"), {}, operations.run_agent("a", "t")),
    ("Agents", "run", ("a", "t", {"k": 1}), {}, operations.run_agent("a", "t", config={"k": 1})),
    ("Agents", "run", ("a", "t"), {"config": {"k": 1}}, operations.run_agent("a", "t", config={"k": 1})),
    ("System", "status", (), {}, operations.system_status()),
    ("System", "config", (), {}, operations.system_config()),
    ("System", "metrics", (), {}, operations.system_metrics()),
    ("Secrets", "get", ("k",), {}, operations.get_secret("k")),
    ("Secrets", "set", ("k", "v"), {}, operations.set_secret("k", "v")),
    ("Secrets", "set", ("k", "v", "p"), {}, operations.set_secret("k", "v", provider="p")),
    ("Secrets", "set", ("k", "v"), {"provider": "p"}, operations.set_secret("k", "v", provider="p")),
    ("Secrets", "delete", ("k",), {}, operations.delete_secret("k")),
    ("Governance", "explain", ("WRITE", {"path": "x"}), {}, operations.explain("WRITE", {"path": "x"})),
    ("Governance", "explain", ("WRITE",), {}, operations.explain("WRITE")),
    ("Governance", "status", (), {}, operations.governance_status()),
    ("Governance", "trace", ("c",), {}, operations.governance_trace("c")),
    ("Chat", "sessions", (), {}, operations.list_sessions()),
    ("Chat", "sessions", (5, "s"), {}, operations.list_sessions(limit=5, before="s")),
    ("Chat", "session", ("s",), {}, operations.get_session("s")),
    ("Chat", "session", ("s", 2), {}, operations.get_session("s", last=2)),
    ("Chat", "delete_session", ("s",), {}, operations.delete_session("s")),
    ("Agents", "list", (), {}, operations.list_agents()),
    ("Secrets", "list", (), {}, operations.list_secrets()),
    ("Governance", "traces", (), {}, operations.list_traces()),
    ("Governance", "traces", (5, "BLOCK", "t"), {}, operations.list_traces(limit=5, decision="BLOCK", before="t")),
    ("Governance", "approvals", (), {}, operations.list_approvals()),
    ("Governance", "approvals", ("pending", 5), {}, operations.list_approvals(limit=5, status="pending")),
    ("Governance", "approve", ("a",), {}, operations.decide_approval("a", True)),
    ("Governance", "deny", ("a",), {}, operations.decide_approval("a", False)),
    ("Governance", "policy", (), {}, operations.get_policy()),
    ("Governance", "judge", (), {}, operations.judge()),
    ("Governance", "judge", (), JUDGED, operations.judge(**JUDGED)),
    ("Governance", "test_policy", ("version = 2",), {}, operations.test_policy("version = 2")),
    ("Governance", "limits", (), {}, operations.get_limits()),
    ("Governance", "export_audit", (), {}, operations.export_audit()),
    ("Governance", "export_audit", (7, 5), {}, operations.export_audit(after=7, limit=5)),
    ("Governance", "verify_audit", (), {}, operations.verify_audit()),
    ("Governance", "verify_audit", ("5:ab",), {}, operations.verify_audit(known="5:ab")),
]
OPTIONS: CallOptions = {
    "timeout": 1.0,
    "retries": 2,
    "deadline": 3.0,
    "headers": {"X-A": "1"},
    "idempotency_key": "k",
    "hooks": Hooks(),
}
methods = pytest.mark.parametrize(
    ("namespace", "method", "args", "kwargs", "operation"),
    METHODS,
    ids=[f"{row[0]}.{row[1]}{row[2]}" for row in METHODS],
)


class Recorder:
    """An executor whose result is the operation itself, the options, and which of its methods was called."""

    def execute(self, operation: Operation[Any], options: CallOptions, /) -> Any:
        return "sync", operation, options

    async def execute_async(self, operation: Operation[Any], options: CallOptions, /) -> Any:
        return "async", operation, options


def finish(coroutine: Any) -> Any:
    """The result of a coroutine that awaits nothing from outside."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


@methods
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["without options", "with every option"])
def test_the_sync_method(namespace: str, method: str, args, kwargs, operation, options) -> None:
    space = CLASSES[namespace](Recorder())
    assert getattr(space, method)(*args, **kwargs, **options) == ("sync", operation, options)


@methods
@pytest.mark.parametrize("prefix", ["", "Async"], ids=["either way", "async only"])
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["without options", "with every option"])
def test_the_async_method(namespace: str, prefix: str, method: str, args, kwargs, operation, options) -> None:
    space = CLASSES[prefix + namespace](Recorder())
    assert finish(getattr(space, f"{method}_async")(*args, **kwargs, **options)) == ("async", operation, options)


@pytest.mark.parametrize("name", ["Runs", "Chat", "Agents", "System", "Secrets", "Governance"])
def test_the_two_kinds_have_the_same_methods_with_the_same_parameters(name: str) -> None:
    both, only_async = CLASSES[name], CLASSES[f"Async{name}"]
    public = {method for method in dir(both) if not method.startswith("_")}
    sync = {method for method in public if not method.endswith("_async")}
    assert public == sync | {f"{method}_async" for method in sync}
    assert {method for method in dir(only_async) if not method.startswith("_")} == public - sync
    for method in sync:
        assert inspect.signature(getattr(both, method)) == inspect.signature(getattr(both, f"{method}_async"))
    assert {row[1] for row in METHODS if row[0] == name} == sync


@pytest.mark.parametrize("name", ["StreamingChat", "AsyncStreamingChat"])
def test_a_chat_that_streams(name: str) -> None:
    """It has what a chat has that does not, and `stream`, which hands its operation to what begins streams."""
    chat = CLASSES[name](Recorder(), lambda *begun: begun)
    assert chat.stream("hi") == (operations.chat_stream("hi"), None, {})
    assert chat.stream("hi", "s", 1.5, retries=2) == (operations.chat_stream("hi", session_id="s"), 1.5, {"retries": 2})
    assert finish(chat.run_async("hi", "s")) == ("async", operations.chat("hi", session_id="s"), {})
    plain = CLASSES[name.replace("Streaming", "")]
    assert {each for each in dir(chat) if not each.startswith("_")} == {
        *(each for each in dir(plain) if not each.startswith("_")),
        "stream",
    }


@pytest.mark.parametrize("name", ["Chat", "AsyncChat"])
def test_the_repr_of_a_namespace_names_its_client(name: str) -> None:
    kind = CLASSES[name]
    assert repr(kind(Recorder())).startswith(f"<{name} of <tests.proto.test_namespaces.Recorder object at ")
    assert repr(kind.__new__(kind)) == f"<{name} of None>"  # as a report of an error in its constructor shows it


def test_a_name_that_is_not_an_option_reaches_the_executor() -> None:
    """Which refuses it, as `call_flow` does."""
    assert Runs(Recorder()).health(bogus=1)[2] == {"bogus": 1}

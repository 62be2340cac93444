"""What the conditions of a policy's rules see of an execution, whichever operation it comes by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from hestiaos_local import Platform, Policy
from hestiaos_local.execution import Agent, ModelRouter, Output, RelayExecutor, ToolCall, Work, function_executor
from hestiaos_local.flow import in_thread
from hestiaos_proto import AgentResult, GovernanceBlock, ServerError, parse_request
from hestiaos_proto import json as wire_json
from tests.local.test_server_models import answer
from tests.support.peer import Peer
from tests.support.ports import refusing_url

RULE = """
version = 2
name = "p"
[[rules]]
name = "r"
on = {on}
{pattern}
decision = "BLOCK"
{condition}
"""

RUN = ("/api/v1/run", {"input": "x", "context": {"session_id": "s", "agent_id": "a"}})
STREAM = ("/api/v1/run/stream", RUN[1])
CHAT = ("/api/chat", {"message": "x", "session_id": "s"})
AGENT = ("/api/agents/run", {"agent_id": "a", "task": "x"})
COMPLETION = ("", {})


def policy(on: str, condition: str) -> Policy:
    pattern = "" if on == "tool" else "pattern = 'x'"
    return Policy.parse(RULE.format(on=f'"{on}"', pattern=pattern, condition=condition), "p.toml")


async def call_a_tool(work: Work) -> AsyncIterator[Output]:
    yield ToolCall("1", "shell", "{}")


def is_blocked(policy: Policy, path: str, body: dict[str, Any]) -> bool:
    """Whether a call with the key `k` is blocked, before its work or by the tool that is called in it."""
    executor = function_executor(call_a_tool)
    models = ModelRouter({"first": executor, "second": executor})
    with Platform(policy=policy, executor=models, agents={"a": Agent(id="a", model="second")}) as platform:
        if not path:
            return anyio.run(completion_is_blocked, platform)
        call = parse_request("POST", path, {}, wire_json.dumps(body))
        result = platform.respond(call, key="k")
        if path == STREAM[0] and not isinstance(result, BaseException):
            assert not isinstance(result, AgentResult)
            return any(event.type == "error" and event.data["code"] == "GOVERNANCE_BLOCK" for event in result)  # type: ignore[union-attr]
        return isinstance(result, GovernanceBlock) or getattr(result, "status", None) == "BLOCKED"


async def completion_is_blocked(platform: Platform) -> bool:
    work = Work(messages=[{"role": "user", "content": "x"}], model="second")
    try:
        async for _ in platform.complete(work, in_thread, key="k"):
            pass
    except GovernanceBlock:
        return True
    return False


@pytest.mark.parametrize(("name", "blocked"), [("tiny", True), ("other", False)])
def test_the_model_of_a_server_that_is_not_named(name: str, blocked: bool) -> None:
    """The server is asked which it is."""
    judged = policy("input", f'models = ["{name}"]')
    with Peer(answer=answer) as server:
        relay = RelayExecutor(f"{server.url}/v1")
        with Platform(policy=judged, executor=relay) as platform:
            result = platform.respond(parse_request("POST", RUN[0], {}, b'{"input": "x"}'))
    assert isinstance(result, GovernanceBlock) == blocked


def test_a_server_that_does_not_tell_its_model() -> None:
    """Nothing is decided, and nothing executed."""
    with Platform(policy=policy("input", 'models = ["tiny"]'), executor=RelayExecutor(refusing_url())) as platform:
        result = platform.respond(parse_request("POST", RUN[0], {}, b'{"input": "x"}'))
        assert isinstance(result, ServerError)
        assert result.code == "MODEL_UNREACHABLE"
        assert platform.measurements.counts().decisions == {}


@pytest.mark.parametrize("on", ["input", "tool"])
@pytest.mark.parametrize(
    ("condition", "fitting"),
    [
        ('keys = ["k"]', [RUN, STREAM, CHAT, AGENT, COMPLETION]),
        ('keys = ["other"]', []),
        ('agents = ["a"]', [RUN, STREAM, AGENT]),
        ('sessions = ["s"]', [RUN, STREAM, CHAT]),
        ('models = ["first"]', [CHAT]),
        ('models = ["second"]', [RUN, STREAM, AGENT, COMPLETION]),
    ],
)
def test_a_condition(on: str, condition: str, fitting: list[Any]) -> None:
    judged = policy(on, condition)
    calls = [RUN, STREAM, CHAT, AGENT, COMPLETION]
    assert [call for call in calls if is_blocked(judged, *call)] == fitting

"""What a model is sent as the policy says; what rules have done, and would have done, is noted and counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anyio
import pytest

from hestiaos_local import Platform, Store
from hestiaos_local.execution import ToolCall, Work
from hestiaos_local.flow import in_thread
from hestiaos_local.openai import parse_chat_completion
from hestiaos_proto import GovernanceBlock
from tests.support.asked_platforms import AGENT, CHAT, RUN, Model, ask, complete, said, trace
from tests.support.policies import BLOCK, NO_DELETING, REDACT, SECRET, THROTTLE, policy

PINS = """
on = "input"
pattern = '[0-9]{4}'
action = "redact"
replacement = "#"
"""


class TestRedactedInputs:
    @pytest.fixture
    def model(self) -> Model:
        return Model("fine")

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with closing(Store()) as store:
            yield store

    @pytest.fixture
    def platform(self, model: Model, store: Store) -> Platform:
        return Platform(policy=policy(PINS), executor=model.executor, store=store)

    @pytest.mark.parametrize("path", [RUN, CHAT, AGENT])
    def test_a_call(self, platform: Platform, model: Model, path: str) -> None:
        result = ask(platform, path, "pin 1234, 5678")
        assert model.asked == ["pin #, #"]
        told = trace(platform, result.trace_id)
        assert (told["input"], told["redactions"], told["replaced"]) == ("pin #, #", {"r1": 2}, True)

    def test_a_chat(self, platform: Platform, model: Model, store: Store) -> None:
        """What is kept of the session is redacted, and so is what was there before the rule."""
        store.add_messages("s", [said("old 1111")], now=0.0)
        ask(platform, CHAT, "pin 1234", session_id="s")
        assert model.asked == ["old #", "pin #"]
        assert [message["content"] for message in store.messages("s")] == ["old 1111", "pin #", "fine"]

    def test_a_completion(self, platform: Platform, model: Model) -> None:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,1234"}}
        complete(
            platform,
            {"role": "system", "content": "be 1111"},
            {"role": "user", "content": [{"type": "text", "text": "see 2222"}, image], "name": "n"},
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "tool_call_id": "1", "content": "is 3333"},
        )
        assert model.works[-1].messages == [
            {"role": "system", "content": "be #"},
            {"role": "user", "content": [{"type": "text", "text": "see #"}, image], "name": "n"},
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "tool_call_id": "1", "content": "is #"},
        ]


ELSEWHERE: list[dict[str, Any]] = [
    {"messages": [said("go on"), {"role": "assistant", "content": "x", "refusal": "pin 1234"}]},
    {"tools": [{"type": "function", "function": {"name": "look", "description": "pin 1234"}}]},
    {"prediction": {"type": "content", "content": "pin 1234"}},
]


@pytest.mark.parametrize("fields", ELSEWHERE)
class TestTextsElsewhereInACompletion:
    """What a model may read beside the contents of messages."""

    @staticmethod
    def ask(platform: Platform, fields: dict[str, Any]) -> Any:
        body = {"model": "m", "messages": [said("go on")]} | fields
        work = parse_chat_completion(json.dumps(body).encode()).work()

        async def main() -> Any:
            first, *_ = [item async for item in platform.complete(work, in_thread)]
            return first

        return anyio.run(main)

    def test_a_rule_that_blocks(self, fields: dict[str, Any]) -> None:
        block = PINS.replace('action = "redact"', 'decision = "BLOCK"').replace('replacement = "#"', "")
        with Platform(policy=policy(block)) as platform, pytest.raises(GovernanceBlock):
            self.ask(platform, fields)

    def test_a_rule_that_redacts(self, fields: dict[str, Any]) -> None:
        model = Model("fine")
        with Platform(policy=policy(PINS), executor=model.executor) as platform:
            told = trace(platform, self.ask(platform, fields).trace_id)
        work = model.works[-1]
        sent = json.dumps([list(work.messages), list(work.tools), dict(work.options)])
        assert ("1234" in sent, "pin #" in sent) == (False, True)
        assert (told["redactions"], told["input"].split("\n")[-1]) == ({"r1": 1}, "pin #")


def test_shadow_rules_decide_nothing_and_are_noted() -> None:
    shadow = [f'{rule}mode = "shadow"' for rule in (BLOCK, REDACT.replace("output", "input"), NO_DELETING)]
    model = Model(f"it is {SECRET}", ToolCall("1", "shell", '{"command": "rm x"}'))
    with Platform(policy=policy(*shadow), executor=model.executor) as platform:
        result = ask(platform, RUN, f"say {SECRET}")
        assert result.result == f"it is {SECRET}"
        assert model.asked == [f"say {SECRET}"]
        told = trace(platform, result.trace_id)
        assert told["shadow"] == [{"rule": "r2", "decision": "redact", "risk_score": 0.0}]
        assert [(hit["rule"], hit["decision"]) for hit in told["output_shadow"]] == [("r3", "BLOCK"), ("r1", "BLOCK")]
        counts = platform.measurements.counts()
    assert counts.shadow_hits == {("r1", "BLOCK"): 1, ("r2", "redact"): 1, ("r3", "BLOCK"): 1}
    assert counts.rules == {}


def test_what_rules_have_done_is_counted() -> None:
    rules = policy(BLOCK, REDACT.replace(SECRET, "blue"), THROTTLE.replace("= 3", "= 30"))
    with Platform(policy=rules, executor=Model("blue ", SECRET).executor) as platform:
        ask(platform, RUN, "slow")
        counts = platform.measurements.counts()
    assert counts.rules == {("r3", "THROTTLE"): 1, ("r2", "redact"): 1, ("r1", "BLOCK"): 1}
    assert counts.decisions == {"THROTTLE": 1}


@pytest.mark.parametrize(("asked", "given"), [(None, 3), (10, 3), (2, 2)])
def test_what_is_throttled_gets_fewer_tokens(asked: int | None, given: int) -> None:
    model = Model("fine")
    with Platform(policy=policy(THROTTLE), executor=model.executor) as platform:

        async def main() -> None:
            async for _ in platform.complete(Work(messages=[said("slow")], max_tokens=asked), in_thread):
                pass

        anyio.run(main)
    assert model.works[-1].max_tokens == given

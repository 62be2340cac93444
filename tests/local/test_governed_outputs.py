"""What a model says, and the tools that it calls, come to the caller as the policy allows, by whichever operation."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from hestiaos_local import Platform, Store
from hestiaos_local.execution import Finish, RelayExecutor, Text, ToolCall, Usage, Work, function_executor
from hestiaos_local.storage import Outcome
from hestiaos_proto import GovernanceBlock, ServerError
from tests.support import wire
from tests.support.asked_platforms import (
    AGENT,
    CHAT,
    CHAT_STREAM,
    RUN,
    STREAM,
    Model,
    ask,
    complete,
    said,
    text_of,
    trace,
)
from tests.support.peer import Peer
from tests.support.policies import BLOCK, DETAILS, NO_DELETING, REDACT, SECRET, policy
from tests.support.steps import send


class Watched(Store):
    """Remembers in `log` when an outcome is stored."""

    log: list[str]

    def finish_trace(self, trace_id: str, outcome: Outcome) -> bool:
        self.log.append("stored")
        return super().finish_trace(trace_id, outcome)


class TestRedactedOutputs:
    @pytest.fixture
    def platform(self) -> Iterator[Platform]:
        with Platform(policy=policy(REDACT), executor=Model(f"it is {SECRET}, yes").executor) as platform:
            yield platform

    @pytest.mark.parametrize("path", [RUN, CHAT, AGENT])
    def test_a_result(self, platform: Platform, path: str) -> None:
        result = ask(platform, path)
        assert result.result == "it is [redacted], yes"
        told = trace(platform, result.trace_id)
        assert (told["outcome"], told["output"]) == ("completed", "it is [redacted], yes")
        assert told["output_redactions"] == {"r1": 1}

    @pytest.mark.parametrize("path", [STREAM, CHAT_STREAM])
    def test_a_stream(self, platform: Platform, path: str) -> None:
        events = list(ask(platform, path))
        assert "".join(event.text for event in events if event.type == "token") == "it is [redacted], yes"
        assert [event.data["index"] for event in events if event.type == "token"] == list(range(len(events) - 3))
        assert events[-2].data["result" if path == STREAM else "response"] == "it is [redacted], yes"

    def test_a_completion_has_what_was_held_back_before_its_end(self, platform: Platform) -> None:
        outputs, error = complete(platform, said("x"))
        assert error is None
        *texts, usage, finish = outputs
        assert "".join(output.text for output in texts if isinstance(output, Text)) == "it is [redacted], yes"
        assert (type(usage), finish) == (Usage, Finish("stop"))


class TestBlockedOutputs:
    @pytest.fixture
    def model(self) -> Model:
        return Model(f"it is {SECRET}, yes")

    @pytest.fixture
    def store(self, model: Model) -> Iterator[Watched]:
        with closing(Watched()) as store:
            store.log = model.log
            yield store

    @pytest.fixture
    def platform(self, model: Model, store: Watched) -> Platform:
        return Platform(policy=policy(BLOCK), executor=model.executor, store=store)

    @pytest.mark.parametrize("path", [RUN, CHAT])
    def test_a_call(self, platform: Platform, model: Model, path: str) -> None:
        """The work is cancelled before anything else is done."""
        block = ask(platform, path, session_id="s")
        assert isinstance(block, GovernanceBlock)
        assert block.details == DETAILS | {"trace_id": block.trace_id}
        assert model.log == ["closed", "stored"]
        assert block.trace_id is not None
        told = trace(platform, block.trace_id)
        assert (told["decision"], told["outcome"], told["output"]) == ("ALLOW", "blocked", "it is ")
        assert told["blocked_by"] == {"rule": "r1", "reason": "a code word", "risk_score": 0.9}
        assert told["violations"] == [{"rule": "r1", "decision": "BLOCK", "risk_score": 0.9, "reason": "a code word"}]
        assert told["output_tokens"] == 5  # about: a match ends with the character after it

    def test_a_chat_is_not_in_the_session(self, platform: Platform, store: Watched) -> None:
        ask(platform, CHAT, session_id="s")
        assert store.messages("s") == []

    def test_an_agent(self, platform: Platform) -> None:
        result = ask(platform, AGENT)
        assert (result.status, result.result, result.error) == ("BLOCKED", None, "a code word")
        assert result.to_wire().items() >= DETAILS.items()

    @pytest.mark.parametrize("path", [STREAM, CHAT_STREAM])
    def test_a_stream(self, platform: Platform, model: Model, path: str) -> None:
        start, *tokens, error, done = ask(platform, path)
        assert "".join(event.data["text"] for event in tokens) == "it is "
        assert (start.type, error.type, done.type) == ("start", "error", "done")
        assert (error.data["code"], error.data["details"].items() >= DETAILS.items()) == ("GOVERNANCE_BLOCK", True)
        assert model.log == ["closed", "stored"]

    def test_a_completion(self, platform: Platform, model: Model) -> None:
        outputs, error = complete(platform, said("x"))
        assert text_of(outputs) == "it is "
        assert isinstance(error, GovernanceBlock)
        assert error.details.items() >= DETAILS.items()
        assert model.log == ["closed", "stored"]

    def test_a_repeat_is_not_executed(self, platform: Platform, model: Model) -> None:
        first, second = (ask(platform, RUN, key="k") for _ in range(2))
        assert isinstance(second, GovernanceBlock)
        assert (second.trace_id, second.details) == (first.trace_id, first.details)
        assert len(model.works) == 1


def test_what_ends_with_the_beginning_of_a_match_is_released() -> None:
    with Platform(policy=policy(BLOCK), executor=Model("it is tango").executor) as platform:
        assert ask(platform, RUN).result == "it is tango"


@pytest.mark.parametrize("rules", [[], [BLOCK]])
def test_halves_of_characters_are_joined(rules: list[str]) -> None:
    pieces = ["a", "\ud83d", "\ude00", "b", "\ud83d", "c", "d"]
    with Platform(policy=policy(*rules), executor=Model(*map(Text, pieces)).executor) as platform:
        assert ask(platform, RUN).result == "a😀b\ufffdcd"


def test_a_long_output_is_judged() -> None:
    """It is longer than what an event loop judges between two turns."""
    model = Model(Text("x" * 70_000), Text(f"{SECRET} y"))
    with Platform(policy=policy(REDACT + 'hold = "all"'), executor=model.executor) as platform:
        outputs, error = complete(platform, said("x"))
    assert error is None
    assert text_of(outputs) == "x" * 70_000 + "[redacted] y"


class TestFailures:
    @pytest.mark.parametrize("rule", [BLOCK, REDACT])
    def test_an_error_says_no_more_than_an_output_may(self, rule: str) -> None:
        """A model server's message may quote its model."""

        def fail(work: Work) -> Iterator[str]:
            yield "a"
            raise ServerError(f"the model server failed: at {SECRET}", status_code=502, code="MODEL_FAILED")

        with Platform(policy=policy(rule), executor=function_executor(fail)) as platform:
            error = ask(platform, RUN)
            assert isinstance(error, ServerError)
            assert (error.message, error.code) == ("the model server failed: at [redacted]", "MODEL_FAILED")
            assert SECRET not in "".join(traceback.format_exception(error))
            *_, told, _ = ask(platform, STREAM)
            assert told.data["message"] == "the model server failed: at [redacted]"

    @pytest.mark.parametrize(
        "script",
        [
            lambda text: wire.response(500, wire.to_json({"error": text})),
            lambda text: wire.response(500, text.encode()),
            lambda text: wire.response(200, f"data: {text}\n\n".encode(), content_type="text/event-stream"),
        ],
        ids=["message", "text", "event"],
    )
    def test_what_an_error_quotes_is_redacted_before_it_is_shortened(self, script: Callable[[str], bytes]) -> None:
        places = [start + shift for start in (60, 480) for shift in range(0, 20, 2)]  # it ends after 80, or after 500
        with Peer(*([send(script(f"{'x' * place}{SECRET} y"))] for place in places)) as peer:
            executor = RelayExecutor(f"{peer.url}/v1", model="m")
            with Platform(policy=policy(REDACT), executor=executor) as platform:
                for _ in places:
                    error = ask(platform, RUN)
                    assert isinstance(error, ServerError)
                    assert SECRET[:3] not in error.message

    def test_what_an_error_quotes_has_no_stored_secret(self) -> None:
        store = Store()
        store.set_secret("password", "hunter2hunter2", "local")
        with Peer([send(wire.response(500, wire.to_json({"error": "x" * 495 + "hunter2hunter2"})))]) as peer:
            executor = RelayExecutor(f"{peer.url}/v1", model="m")
            with Platform(store=store, executor=executor) as platform:
                error = ask(platform, RUN)
        assert isinstance(error, ServerError)
        assert error.message.endswith("xxx[secr…")

    def test_an_executor_that_fails_as_it_is_cancelled(self, server_faults: list[str]) -> None:
        """The block is what its caller is told, and what the trace says."""

        def model(work: Work) -> Iterator[str]:
            try:
                yield f"{SECRET}, yes"
            finally:
                raise ValueError("no way out")

        with Platform(policy=policy(BLOCK), executor=function_executor(model)) as platform:
            block = ask(platform, RUN)
            assert isinstance(block, GovernanceBlock)
            assert block.trace_id is not None
            assert trace(platform, block.trace_id)["outcome"] == "blocked"
        assert "the executor failed while" in server_faults.pop()


class TestToolCalls:
    def test_one_that_is_allowed_arrives_unchanged(self) -> None:
        call = ToolCall("1", "shell", '{"command": "ls",  "x": 1.0}')
        with Platform(policy=policy(NO_DELETING), executor=Model(call).executor) as platform:
            outputs, error = complete(platform, said("x"))
            assert (outputs[0], error) == (call, None)
            _, event, *_ = ask(platform, STREAM)
            assert event.data == {"id": "1", "name": "shell", "arguments": call.arguments}
            told = trace(platform, event.trace_id)
        assert told["tool_calls"] == [{"name": "shell", "arguments": call.arguments}]

    def test_one_that_is_not(self) -> None:
        model = Model("look: ", ToolCall("1", "shell", '{"command": "rm x"}'), "done")
        with Platform(policy=policy(NO_DELETING), executor=model.executor) as platform:
            outputs, error = complete(platform, said("x"))
            assert not any(isinstance(output, ToolCall) for output in outputs)
            assert isinstance(error, GovernanceBlock)
            assert error.details["rule"] == "r1"
            assert error.trace_id is not None
            assert "tool_calls" not in trace(platform, error.trace_id)
        assert model.log == ["closed"]

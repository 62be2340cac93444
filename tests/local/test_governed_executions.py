"""What governance says of inputs and outputs is carried out, by whichever operation they come."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

from hestiaos_local import Platform, Policy, Store
from hestiaos_local._flow import in_thread
from hestiaos_local.execution import Finish, Output, Text, ToolCall, Usage, Work, function_executor
from hestiaos_local.storage import Outcome
from hestiaos_proto import GovernanceBlock, StatusError, parse_request
from tests.support.policies import policy

RUN = "/api/v1/run"
STREAM = "/api/v1/run/stream"
CHAT = "/api/chat"
AGENT = "/api/agents/run"
SECRET = "tango-9973"
BLOCK = f'on = "output"\npattern = \'{SECRET}\'\ndecision = "BLOCK"\nrisk = 0.9\nreason = "a code word"'
REDACT = f'on = "output"\npattern = \'{SECRET}\'\naction = "redact"'
DETAILS = {"rule": "r1", "reason": "a code word", "risk_score": 0.9, "policy": "team"}


class Model:
    """Says its outputs, a text by its characters, and remembers what it was asked, and whether it came to its end."""

    def __init__(self, *outputs: str | Output) -> None:
        self.outputs = outputs
        self.works: list[Work] = []
        self.log: list[str] = []
        self.executor = function_executor(self._say)

    def _say(self, work: Work) -> Iterator[Output]:
        self.works.append(work)
        try:
            for output in self.outputs:
                if isinstance(output, str):
                    yield from map(Text, output)
                else:
                    yield output
            self.log.append("ended")
        finally:
            self.log.append("closed")

    @property
    def asked(self) -> list[Any]:
        """The contents of the messages of the last work."""
        return [message["content"] for message in self.works[-1].messages]


class Watched(Store):
    """Remembers in `log` when an outcome is stored."""

    log: list[str]

    def finish_trace(self, trace_id: str, outcome: Outcome) -> bool:
        self.log.append("stored")
        return super().finish_trace(trace_id, outcome)


def ask(platform: Platform, path: str, text: str = "go on", key: str | None = None, **more: Any) -> Any:
    body = {
        RUN: {"input": text},
        STREAM: {"input": text},
        CHAT: {"message": text},
        AGENT: {"agent_id": "a", "task": text},
    }
    headers = {} if key is None else {"idempotency-key": key}
    return platform.respond(parse_request("POST", path, headers, json.dumps(body[path] | more).encode()))


def trace(platform: Platform, trace_id: str) -> dict[str, Any]:
    answer = platform.respond(parse_request("GET", f"/api/governance/trace/{trace_id}", {}, b""))
    assert isinstance(answer, dict)
    return answer


def complete(platform: Platform, *messages: Any) -> tuple[list[Output], StatusError | None]:
    """What a completion gives, and what it raises after that."""
    given: list[Output] = []

    async def main() -> None:
        async for item in platform.complete(Work(messages=messages), in_thread):
            given.append(item)

    try:
        anyio.run(main)
    except StatusError as error:
        return given[1:], error
    return given[1:], None


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


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

    def test_a_stream(self, platform: Platform) -> None:
        events = list(ask(platform, STREAM))
        assert "".join(event.text for event in events if event.type == "token") == "it is [redacted], yes"
        assert [event.data["index"] for event in events if event.type == "token"] == list(range(len(events) - 3))
        assert events[-2].data["result"] == "it is [redacted], yes"

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

    def test_a_stream(self, platform: Platform, model: Model) -> None:
        start, *tokens, error, done = ask(platform, STREAM)
        assert "".join(event.data["text"] for event in tokens) == "it is "
        assert (start.type, error.type, done.type) == ("start", "error", "done")
        assert (error.data["code"], error.data["details"].items() >= DETAILS.items()) == ("GOVERNANCE_BLOCK", True)
        assert model.log == ["closed", "stored"]

    def test_a_completion(self, platform: Platform, model: Model) -> None:
        outputs, error = complete(platform, said("x"))
        assert "".join(output.text for output in outputs if isinstance(output, Text)) == "it is "
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


def test_a_long_output_is_judged() -> None:
    """In a thread, where an event loop waits for it."""
    model = Model(Text("x" * 70_000), Text(f"{SECRET} y"))
    with Platform(policy=policy(REDACT + '\nhold = "all"'), executor=model.executor) as platform:
        outputs, error = complete(platform, said("x"))
    assert error is None
    assert "".join(output.text for output in outputs if isinstance(output, Text)) == "x" * 70_000 + "[redacted] y"


TOOL = 'on = "tool"\ntools = ["shell"]\npath = "command"\npattern = \'\\brm\\b\'\ndecision = "BLOCK"\nreason = "no"'


class TestToolCalls:
    def test_one_that_is_allowed_arrives_unchanged(self) -> None:
        call = ToolCall("1", "shell", '{"command": "ls",  "x": 1.0}')
        with Platform(policy=policy(TOOL), executor=Model(call).executor) as platform:
            outputs, error = complete(platform, said("x"))
            assert (outputs[0], error) == (call, None)
            _, event, *_ = ask(platform, STREAM)
            assert event.data == {"id": "1", "name": "shell", "arguments": call.arguments}
            told = trace(platform, event.trace_id)
        assert told["tool_calls"] == [{"name": "shell", "arguments": call.arguments}]

    def test_one_that_is_not(self) -> None:
        model = Model("look: ", ToolCall("1", "shell", '{"command": "rm x"}'), "done")
        with Platform(policy=policy(TOOL), executor=model.executor) as platform:
            outputs, error = complete(platform, said("x"))
            assert not any(isinstance(output, ToolCall) for output in outputs)
            assert isinstance(error, GovernanceBlock)
            assert error.details["rule"] == "r1"
            assert error.trace_id is not None
            assert "tool_calls" not in trace(platform, error.trace_id)
        assert model.log == ["closed"]


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
        redact = 'on = "input"\npattern = \'[0-9]{4}\'\naction = "redact"\nreplacement = "#"'
        return Platform(policy=policy(redact), executor=model.executor, store=store)

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
        image = {"type": "image_url", "image_url": {"url": "data:1234"}}
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


def test_shadow_rules_decide_nothing_and_are_noted() -> None:
    shadow = [f'{rule}\nmode = "shadow"' for rule in (BLOCK, REDACT.replace("output", "input"), TOOL)]
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
    throttle = 'on = "input"\npattern = \'slow\'\ndecision = "THROTTLE"\nreason = "slow"'
    with Platform(
        policy=policy(BLOCK, REDACT.replace(SECRET, "blue"), throttle), executor=Model("blue ", f"{SECRET}").executor
    ) as platform:
        ask(platform, RUN, "slow")
        counts = platform.measurements.counts()
    assert counts.rules == {("r3", "THROTTLE"): 1, ("r2", "redact"): 1, ("r1", "BLOCK"): 1}
    assert counts.decisions == {"THROTTLE": 1}


@pytest.mark.parametrize(("asked", "given"), [(None, 3), (10, 3), (2, 2)])
def test_what_is_throttled_gets_fewer_tokens(asked: int | None, given: int) -> None:
    model = Model("fine")
    rule = 'on = "input"\npattern = \'slow\'\ndecision = "THROTTLE"\nmax_tokens = 3\nreason = "slow"'
    with Platform(policy=policy(rule), executor=model.executor) as platform:

        async def main() -> None:
            async for _ in platform.complete(Work(messages=[said("slow")], max_tokens=asked), in_thread):
                pass

        anyio.run(main)
    assert model.works[-1].max_tokens == given


def test_a_trace_may_keep_no_texts() -> None:
    call = ToolCall("1", "look", '{"at": "it"}')
    with Platform(executor=Model("fine", call).executor, keep="hash") as platform:
        told = trace(platform, ask(platform, RUN, "hello").trace_id)
    assert not {"input", "output", "texts"} & told.keys()
    assert told["texts_sha256"] == [sha256(b"hello").hexdigest()]
    assert told["output_sha256"] == sha256(b"fine").hexdigest()
    assert [set(each) for each in told["tool_calls"]] == [{"name", "arguments_sha256"}]


class TestSecrets:
    """The value of a stored secret, the platform's keys, and what looks like one."""

    SAID = (SECRET, "my-own-key-4711", "sk-0123456789abcdefghij")

    def test_they_are_in_nothing_that_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "store.db"
        text = " and ".join(self.SAID)
        model = Model(text, ToolCall("1", "look", json.dumps({"at": text})))
        store = Store(path, key="store-key")
        with Platform(executor=model.executor, store=store) as platform:
            platform.hide("my-own-key-4711")
            store.set_secret("code", SECRET, "test")
            run = ask(platform, RUN, text, key="k")
            assert run.result == text  # what a client may see is for rules to say
            chat = ask(platform, CHAT, text, session_id="s")
            complete(platform, said(text))
            for result in (run, chat):
                told = trace(platform, result.trace_id)
                assert told["output"] == told["input"] == "[secret] and [secret] and [key]"
            assert store.messages("s")[0]["content"] == "[secret] and [secret] and [key]"
            assert ask(platform, RUN, text, key="k").result == "[secret] and [secret] and [key]"
            kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert kept
        for secret in self.SAID:
            assert secret.encode() not in kept

    def test_a_store_whose_secrets_cannot_be_read(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "store.db"
        with closing(Store(path, key="store-key")) as store:
            store.set_secret("code", SECRET, "test")
        with Platform(executor=Model("fine").executor, store=Store(path)) as platform:
            assert [ask(platform, RUN).result for _ in range(2)] == ["fine", "fine"]
        [record] = caplog.records
        assert "traces may hold values of stored secrets, which cannot be read" in record.getMessage()

    def test_of_several_one_is_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "store.db"
        with closing(Store(path, key="store-key")) as store:
            for name in ("a", "b"):
                store.set_secret(name, f"value-of-{name}", "test")
            with closing(sqlite3.connect(path)) as db, db:
                db.execute("UPDATE secrets SET value = zeroblob(40) WHERE key = 'a'")
            assert store.secret_values() == ["value-of-b"]


def test_an_execution_that_has_not_ended_is_decided() -> None:
    """So its trace says what a process has left that was killed in the midst of one."""

    async def model(work: Work) -> AsyncIterator[str]:
        told.append(trace(platform, work.trace_id))
        short.append(platform.respond(parse_request("GET", f"/api/v1/trace/{work.trace_id}", {}, b"")))
        yield "fine"

    told: list[dict[str, Any]] = []
    short: list[Any] = []
    with Platform(executor=function_executor(model)) as platform:
        result = ask(platform, RUN)
        ended = platform.respond(parse_request("GET", f"/api/v1/trace/{result.trace_id}", {}, b""))
    assert told[0]["outcome"] == short[0].extra["outcome"] == "decided"
    assert getattr(ended, "extra", {})["outcome"] == "completed"


def test_a_block_by_the_input_is_in_its_trace() -> None:
    with Platform(policy=Policy.default(), executor=Model("fine").executor) as platform:
        block = ask(platform, RUN, "rm -rf /")
        assert isinstance(block, GovernanceBlock)
        assert block.trace_id is not None
        assert trace(platform, block.trace_id)["outcome"] == "blocked"

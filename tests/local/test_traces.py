"""What is written of an execution: no secrets, and no texts where they are not to be kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hestiaos_local import Platform, Policy, Store
from hestiaos_local.execution import Agent, ToolCall, Work, function_executor
from hestiaos_proto import GovernanceBlock, parse_request
from tests.support.asked_platforms import AGENT, CHAT, RUN, Model, ask, complete, said, trace
from tests.support.policies import SECRET


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
        model = Model(text, ToolCall("1", f"look for {SECRET}", json.dumps({"at": text})))
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

    def test_one_that_is_the_name_of_a_tool_which_an_agent_may_not_call(self) -> None:
        with closing(Store()) as store:
            store.set_secret("code", SECRET, "test")
            agents = {"a": Agent(id="a", tools=frozenset())}
            executor = Model(ToolCall("1", SECRET, "{}")).executor
            with Platform(executor=executor, store=store, agents=agents) as platform:
                told = trace(platform, ask(platform, AGENT).trace_id)
                assert told["blocked_by"]["reason"] == "the agent 'a' may not call the tool '[secret]'"

    def test_a_store_whose_secrets_cannot_be_read(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "store.db"
        with closing(Store(path, key="store-key")) as store:
            store.set_secret("code", SECRET, "test")
        with Platform(executor=Model("fine").executor, store=Store(path)) as platform:
            assert [ask(platform, RUN).result for _ in range(2)] == ["fine", "fine"]
        [record] = caplog.records
        assert "secrets are not redacted in traces, as they cannot be read" in record.getMessage()

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

"""The relay before real model servers: llama.cpp with a tiny model, and fakellm for tool calls."""

from __future__ import annotations

import json
from contextlib import aclosing

import anyio

from hestiaos_local.execution import (
    Finish,
    Output,
    RelayExecutor,
    Text,
    ToolCall,
    Usage,
    Work,
    run_executor,
)
from tests.support.completions import texts
from tests.support.executions import Way, say
from tests.support.model_servers import FakeServer, LlamaServer

SAID = "exactly this text"
SAY = {"grammar": f'root ::= "{SAID}"'}


def relay(server: LlamaServer | FakeServer) -> RelayExecutor:
    return RelayExecutor(server.url, key=server.key)


def streamed(outputs: list[Output]) -> int:
    return sum(isinstance(output, Text) for output in outputs)


class TestLlama:
    def test_a_text_comes_in_pieces_with_the_servers_own_usage(self, llama: LlamaServer, way: Way) -> None:
        outputs, error = way.run(relay(llama), say(options=SAY))
        assert error is None
        assert texts(outputs) == SAID
        assert streamed(outputs) > 5
        *_, usage, finish = outputs
        assert isinstance(usage, Usage)
        assert not usage.estimated
        assert usage.prompt_tokens > 5
        assert usage.completion_tokens >= streamed(outputs)
        assert finish == Finish("stop")

    def test_the_limit_of_tokens_is_kept(self, llama: LlamaServer, way: Way) -> None:
        outputs, _ = way.run(relay(llama), say(max_tokens=5, options={"ignore_eos": True}))
        assert isinstance(outputs[-2], Usage)
        assert (outputs[-2].completion_tokens, outputs[-1]) == (5, Finish("length"))

    def test_the_models_of_the_server(self, llama: LlamaServer) -> None:
        assert len(anyio.run(relay(llama).models)) == 1
        assert anyio.run(relay(llama).check) is None

    def test_a_call_with_a_wrong_key(self, llama: LlamaServer, way: Way) -> None:
        executor = RelayExecutor(llama.url, model="m", key="sk-wrong")
        for error in (way.run(executor, say())[1], anyio.run(executor.check)):
            assert error is not None
            assert error.code == "MODEL_AUTHENTICATION_FAILED"

    def test_a_prompt_that_is_too_long(self, llama: LlamaServer, way: Way) -> None:
        _, error = way.run(relay(llama), say("x" * 40_000))
        assert error is not None
        assert (error.code, error.status_code) == ("INVALID_INPUT", 422)
        assert "exceeds the available context size" in error.message

    def test_a_grammar_that_is_not_one(self, llama: LlamaServer, way: Way) -> None:
        _, error = way.run(relay(llama), say(options={"grammar": "root ::= ("}))
        assert error is not None
        assert error.code == "INVALID_INPUT"

    def test_a_client_that_leaves_cancels_the_generation(self, llama: LlamaServer, way: Way) -> None:
        """The server has generated less than it was asked for when it is idle again."""
        asked = 15_000
        before = llama.generated()
        work = say(max_tokens=asked, options={"ignore_eos": True})
        assert len(way.take(relay(llama), work, 2)) == 2
        llama.wait_until_idle()
        assert llama.generated() - before < asked

    def test_many_calls_at_once(self, llama: LlamaServer) -> None:
        said: list[str] = []

        async def one(executor: RelayExecutor) -> None:
            outputs = []
            async with aclosing(run_executor(executor, say(options=SAY))) as given:
                async for output in given:
                    outputs.append(output)
            said.append(texts(outputs))

        async def main() -> None:
            executor = relay(llama)
            async with anyio.create_task_group() as group:
                for _ in range(30):
                    group.start_soon(one, executor)

        anyio.run(main)
        assert said == [SAID] * 30


class TestFake:
    def test_tools_are_called_and_their_results_answered(self, fake: FakeServer, way: Way) -> None:
        question = {"role": "user", "content": f"What is the weather, {way.name}?"}  # it remembers who asked
        outputs, error = way.run(relay(fake), Work(messages=[question], model="gpt-4o"))
        assert error is None
        weather, hour, usage, finish = outputs
        assert isinstance(weather, ToolCall)
        assert isinstance(hour, ToolCall)
        assert (weather.name, json.loads(weather.arguments)) == ("get_weather", {"city": "Paris", "unit": "°C"})
        assert (hour.name, json.loads(hour.arguments)) == ("get_time", {})
        assert weather.id != hour.id
        assert isinstance(usage, Usage)
        assert usage.estimated  # its streams tell none
        assert finish == Finish("tool_calls")
        function = {"name": weather.name, "arguments": weather.arguments}
        called = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": weather.id, "type": "function", "function": function}],
        }
        result = {"role": "tool", "tool_call_id": weather.id, "content": "sunny"}
        outputs, error = way.run(relay(fake), Work(messages=[question, called, result], model="gpt-4o"))
        assert error is None
        assert texts(outputs) == "It is sunny in Paris."
        assert outputs[-1] == Finish("stop")

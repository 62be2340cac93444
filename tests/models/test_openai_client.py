"""The official `openai` client before a served platform, with real model servers behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.local.test_server_models import Steps
from tests.support.model_servers import LlamaServer
from tests.support.peer import Peer
from tests.support.served_process import ServedProcess

openai = pytest.importorskip("openai")

SAID = "exactly this text"
SAY: Any = {"grammar": f'root ::= "{SAID}"'}  # a field of llama.cpp, which is passed on
HI: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("get_weather", "get_time")
]


@pytest.fixture
def client(served: ServedProcess) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="key", max_retries=0) as client:
        yield client


def test_a_completion_and_its_trace(client: Any, served: ServedProcess) -> None:
    raw = client.chat.completions.with_raw_response.create(model="small", messages=HI, extra_body=SAY)
    completion = raw.parse()
    [choice] = completion.choices
    assert (choice.message.content, choice.finish_reason) == (SAID, "stop")
    assert completion.model == "small"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 10
    trace_id = raw.headers["x-hestia-trace-id"]
    assert completion.id == f"chatcmpl-{trace_id}"
    trace = client.with_options().get(f"{served.url}/api/v1/trace/{trace_id}", cast_to=object)
    assert trace["decision"] == "ALLOW"


def test_a_stream_with_usage(client: Any) -> None:
    chunks = list(
        client.chat.completions.create(
            model="small", messages=HI, stream=True, stream_options={"include_usage": True}, extra_body=SAY
        )
    )
    *pieces, usage = chunks
    texts = [piece.choices[0].delta.content for piece in pieces if piece.choices[0].delta.content]
    assert ("".join(texts), len(texts) > 5) == (SAID, True)
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert (usage.choices, usage.usage.completion_tokens >= len(texts)) == ([], True)


def test_the_asynchronous_client(served: ServedProcess) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="key", max_retries=0) as client:
            create = client.chat.completions.create
            whole, stream = await asyncio.gather(
                create(model="small", messages=HI, extra_body=SAY),
                create(model="small", messages=HI, extra_body=SAY, stream=True),
            )
            assert whole.choices[0].message.content == SAID
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == SAID

    asyncio.run(main())


def test_the_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["small", "long", "gpt-4o"]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_and_their_results_answered(client: Any, stream: bool) -> None:
    question = {"role": "user", "content": f"What is the weather, {stream}?"}  # it remembers who asked
    ask: Callable[..., Any] = client.chat.completions.create
    calls: list[Any]
    if stream:
        chunks = list(ask(model="gpt-4o", messages=[question], tools=TOOLS, stream=True))
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        finish = chunks[-1].choices[0].finish_reason
        assert [call.index for call in calls] == [0, 1]
    else:
        [choice] = ask(model="gpt-4o", messages=[question], tools=TOOLS).choices
        calls, finish = choice.message.tool_calls, choice.finish_reason
    assert finish == "tool_calls"
    weather, hour = calls
    assert (weather.function.name, json.loads(weather.function.arguments)) == (
        "get_weather",
        {"city": "Paris", "unit": "°C"},
    )
    assert (hour.function.name, json.loads(hour.function.arguments)) == ("get_time", {})
    called = {
        "role": "assistant",
        "tool_calls": [
            {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": "{}"}}
            for call in calls
        ],
    }
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    answer = ask(model="gpt-4o", messages=[question, called, *results], tools=TOOLS)
    assert answer.choices[0].message.content == "It is sunny in Paris."


def test_what_is_refused(client: Any) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.PermissionDeniedError) as blocked:
        create(model="small", messages=[{"role": "user", "content": "rm -rf /"}])
    assert blocked.value.code == "governance_block"
    assert blocked.value.body["trace_id"]
    with pytest.raises(openai.NotFoundError, match="there is no model 'other'"):
        create(model="other", messages=HI)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").chat.completions.create(model="small", messages=HI)
    with pytest.raises(openai.APIStatusError, match="exceeds the available context size"):
        create(model="small", messages=[{"role": "user", "content": "x" * 40_000}])


def test_a_token_is_there_while_the_next_ones_are_made(client: Any, llama: LlamaServer) -> None:
    """It is read while the model works; where the stream is left, the model stops, long before its limit."""
    asked = 15_000
    before = llama.generated()
    stream = client.chat.completions.create(
        model="long", messages=HI, max_tokens=asked, stream=True, extra_body={"ignore_eos": True}
    )
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert llama.busy()
    stream.close()
    llama.wait_until_idle()
    assert llama.generated() - before < asked


@pytest.fixture
def stepping() -> Iterator[tuple[ServedProcess, Steps]]:
    """A served platform before a model server that sends the next token when the test lets it."""
    steps = Steps()
    with Peer(steps.script()) as peer, ServedProcess("--model-url", f"{peer.url}/v1", "--model", "tiny") as server:
        yield server, steps


def test_tokens_come_one_by_one(stepping: tuple[ServedProcess, Steps]) -> None:
    """Each is sent only when the one before it has been read."""
    server, steps = stepping
    steps.events[0].set()  # with the first output the response begins
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(model="tiny", messages=HI, stream=True)
        texts = (chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content)
        for number, go_on in enumerate(steps.events):
            go_on.set()
            assert next(texts) == f"t{number} "
        assert list(texts) == []


def test_tokens_come_one_by_one_to_the_asynchronous_client(stepping: tuple[ServedProcess, Steps]) -> None:
    server, steps = stepping

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
            stream = await client.chat.completions.create(model="tiny", messages=HI, stream=True)
            texts = (chunk.choices[0].delta.content async for chunk in stream if chunk.choices[0].delta.content)
            for number, go_on in enumerate(steps.events):
                go_on.set()
                assert await anext(texts) == f"t{number} "
            assert [text async for text in texts] == []

    steps.events[0].set()
    asyncio.run(main())

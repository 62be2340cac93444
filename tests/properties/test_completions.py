"""Properties of the machine that reads a model server's stream, each stated in the first sentence of its test."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.execution import Finish, Output, Text, ToolCall, Usage
from hestiaos_local.openai import ChunkEncoder, CompletionStream, encode_completion
from hestiaos_proto import Redactor
from tests.support.completions import DONE, Reading, call, chunk, event, read, read_plain, texts
from tests.support.pieces import cut

TEXTS = st.text(max_size=5) | st.sampled_from(["", "a\ud83d", "\ude00b", "\u2028", "sk-4711", "\r\n\n"])
INDICES = st.none() | st.integers(0, 3)
CALLS = st.builds(
    call,
    INDICES,
    st.none() | st.sampled_from(["", "c1", "c2"]),
    st.none() | st.sampled_from(["", "look", "go"]),
    st.none() | st.sampled_from(["", "{}", '{"a":', "1}", {}]),
)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none() | TEXTS | st.just([{"type": "text", "text": "p"}]) | st.just(7),
        "reasoning_content": TEXTS,
        "tool_calls": st.none() | st.lists(CALLS, max_size=3),
        "function_call": st.none() | st.just({"name": "old"}),
    },
)
USAGES = st.none() | st.just({"prompt_tokens": 3, "completion_tokens": 2})
CHUNKS = st.builds(
    lambda delta, finish, usage: chunk(delta, finish, usage=usage),
    st.none() | DELTAS,
    st.none() | st.sampled_from(["stop", "length", "tool_calls", "eos"]),
    USAGES,
)
SAYINGS = CHUNKS | st.sampled_from(
    [{"choices": []}, {"error": {"message": "no sk-4711"}}, {"error": "no"}, "[DONE]", "", "nonsense", "7", {}]
)
EVENTS = st.one_of(
    SAYINGS.map(event),
    SAYINGS.map(lambda saying: event(saying).replace(b"\n", b"\r\n")),
    st.sampled_from([b": hello\n\n", b"event: error\n", b"\xff", b"data", b"\n", b"\r", b"data: {\n", b"data: }\n\n"]),
    st.binary(max_size=4),
)
STREAMS = st.lists(EVENTS, max_size=12).map(b"".join)
CUTS = st.lists(st.integers(0, 500), max_size=8)


def compared(reading: Reading) -> Any:
    outputs, error = reading
    return outputs, None if error is None else (type(error), vars(error))


@given(STREAMS, CUTS)
def test_every_cut_gives_the_same(data: bytes, cuts: list[int]) -> None:
    """Any bytes, cut anyhow, give outputs or a `StatusError`, and the same of both for every cut."""
    whole = compared(read(data))
    assert compared(read(cut(data, cuts))) == whole
    assert compared(read(data[place : place + 1] for place in range(len(data)))) == whole


@given(STREAMS)
def test_outputs_keep_their_order(data: bytes) -> None:
    """Texts come first, then calls, then the usage, then `Finish`, which is there exactly where nothing is raised."""
    outputs, error = read(data)
    order = [(Text, ToolCall, Usage, Finish).index(type(output)) for output in outputs]
    assert order == sorted(order)
    assert order.count(2) <= 1
    assert order.count(3) == (error is None)
    assert order[-1:] == ([3] if error is None else order[-1:])


@given(STREAMS, CUTS)
def test_outputs_can_be_encoded_and_tell_no_key(data: bytes, cuts: list[int]) -> None:
    """Whatever a server sends, what is given is UTF-8, and what is raised does not name the key."""
    outputs, error = read(cut(data, cuts), CompletionStream(redactor=Redactor("sk-4711")))
    repr(outputs).encode()
    for output in outputs:
        if isinstance(output, (Text, ToolCall)):
            (output.text if isinstance(output, Text) else output.id + output.name + output.arguments).encode()
    if error is not None:
        assert "4711" not in f"{error!r} {error} {error.body!r} {error.details!r}"


@given(st.lists(TEXTS, max_size=6))
def test_no_text_is_lost(parts: list[str]) -> None:
    """The texts that are given are the texts that were sent, each surrogate pair joined."""
    sent = "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    outputs, error = read([*(event(chunk({"content": part})) for part in parts), event(chunk({}, "stop")), DONE])
    assert (texts(outputs), error) == (sent, None)


OUTPUTS = st.tuples(
    st.lists(st.text(min_size=1, max_size=5).map(Text), max_size=4),
    st.lists(
        st.builds(ToolCall, st.uuids().map(str), st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=9)),
        max_size=3,
    ),
    st.lists(st.builds(Usage, st.integers(0, 9), st.integers(0, 9)), max_size=1),
).map(lambda parts: [*parts[0], *parts[1], *parts[2], Finish("tool_calls" if parts[1] else "stop")])


@given(OUTPUTS, CUTS)
def test_what_is_encoded_is_decoded(outputs: list[Output], cuts: list[int]) -> None:
    """An encoded stream, cut anyhow, and an encoded completion are read as the outputs that they were made of."""
    encoder = ChunkEncoder(id="i", model="m", created=1, include_usage=True)
    data = encoder.start() + b"".join(map(encoder.send, outputs))
    assert read(cut(data, cuts)) == (outputs, None)
    whole, error = read_plain(encode_completion(outputs, id="i", model="m", created=1))
    assert error is None
    assert texts(whole) == texts(outputs)
    assert [each for each in whole if not isinstance(each, Text)] == [
        each for each in outputs if not isinstance(each, Text)
    ]


@pytest.mark.parametrize("delta", [call(0, arguments="x" * 1000), call(0, "i", "a", "x" * 1000), call(name="a")])
def test_retained_memory_is_bounded(delta: Any) -> None:
    """A server that never ends its tool calls is refused, whichever field it repeats."""
    data = event(chunk({"tool_calls": [delta]}))
    most = 8 * 1024 * 1024 // len(data)
    outputs, error = read(data for _ in range(most))
    assert outputs == []
    assert error is not None
    assert error.code == "MODEL_PROTOCOL_ERROR"

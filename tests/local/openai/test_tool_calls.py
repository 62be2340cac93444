"""Tool calls are gathered from whatever deltas servers send; each case here is the habit of one of them."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_local.execution import Output, ToolCall
from hestiaos_local.openai import CompletionStream
from hestiaos_local.openai._tool_calls import MAX_CALLS, ToolCallGatherer
from hestiaos_proto import ServerError
from tests.support.completions import call, chunk, done, plain, read, read_plain

PARIS, ROME = '{"city":"Paris"}', '{"city":"Rome"}'


def calls_of(*deltas: Any) -> list[Output]:
    """The calls that a stream with one delta in each chunk gives."""
    outputs, error = read(done(*(chunk({"tool_calls": [each]}) for each in deltas), chunk({}, "tool_calls")))
    assert error is None
    return outputs[:-1]


def test_arguments_are_gathered_over_the_deltas_of_a_call() -> None:
    deltas = [call(0, "c1", "look", ""), call(0, arguments='{"city":'), call(0, arguments='"Paris"}')]
    assert calls_of(*deltas) == [ToolCall("c1", "look", PARIS)]


def test_calls_that_arrive_by_turns_are_kept_apart() -> None:
    deltas = [call(0, "c1", "look", '{"city":'), call(1, "c2", "go", "{"), call(0, arguments='"Paris"}')]
    assert calls_of(*deltas, call(1, arguments="}")) == [ToolCall("c1", "look", PARIS), ToolCall("c2", "go", "{}")]


@pytest.mark.parametrize("continued", [call(arguments='"Paris"}'), call(7, arguments='"Paris"}')])
def test_a_delta_without_index_or_with_an_unknown_one_alone_continues_the_last_call(continued: Any) -> None:
    assert calls_of(call(0, "c1", "look", '{"city":'), continued) == [ToolCall("c1", "look", PARIS)]


def test_calls_without_index_are_kept_apart_by_their_ids() -> None:
    deltas = [call(None, "c1", "look", PARIS), call(None, "c2", "look", '{"city":'), call(None, "c2", None, '"Rome"}')]
    assert calls_of(*deltas) == [ToolCall("c1", "look", PARIS), ToolCall("c2", "look", ROME)]


def test_calls_without_index_and_id_begin_with_their_names() -> None:
    deltas = [call(None, None, "look", '{"city":'), call(arguments='"Paris"}'), call(None, None, "look", ROME)]
    assert calls_of(*deltas) == [ToolCall("call_0", "look", PARIS), ToolCall("call_1", "look", ROME)]


def test_several_in_one_delta_without_index_are_several() -> None:
    outputs, _ = read(done(chunk({"tool_calls": [call(None, None, "a", "{}"), call(None, None, "b", "{}")]}, "stop")))
    assert outputs[:-1] == [ToolCall("call_0", "a", "{}"), ToolCall("call_1", "b", "{}")]


def test_index_0_for_every_call_with_ids_of_their_own() -> None:
    deltas = [call(0, "c1", "look", PARIS), call(0, "c2", "look", ROME)]
    assert calls_of(*deltas) == [ToolCall("c1", "look", PARIS), ToolCall("c2", "look", ROME)]


def test_index_0_for_every_call_with_names_of_their_own() -> None:
    assert calls_of(call(0, None, "a", "{}"), call(0, None, "b", "{}")) == [
        ToolCall("call_0", "a", "{}"),
        ToolCall("call_1", "b", "{}"),
    ]


def test_a_new_id_with_each_delta_of_a_call() -> None:
    deltas = [call(0, "c1", "look"), call(0, "c2", None, '{"city":'), call(0, "c3", None, '"Paris"}')]
    assert calls_of(*deltas) == [ToolCall("c1", "look", PARIS)]


def test_the_name_again_with_each_delta() -> None:
    deltas = [call(0, "c1", "look", '{"city":'), call(0, "c1", "look", '"Paris"}')]
    assert calls_of(*deltas) == [ToolCall("c1", "look", PARIS)]


def test_a_name_in_pieces() -> None:
    assert calls_of(call(0, "c1", "get_"), call(0, None, "weather"), call(0, arguments="{}")) == [
        ToolCall("c1", "get_weather", "{}")
    ]


@pytest.mark.parametrize("index", [0, None])
def test_the_name_after_the_arguments(index: int | None) -> None:
    deltas = [call(index, "c1", None, '{"city":'), call(index, "c1", "look", '"Paris"}')]
    assert calls_of(*deltas) == [ToolCall("c1", "look", PARIS)]


def test_the_index_left_out_after_the_first_delta() -> None:
    deltas = [call(3, "c1", "look", '{"city":'), call(None, "c1", None, '"Paris"}')]
    assert calls_of(*deltas) == [ToolCall("c1", "look", PARIS)]


@pytest.mark.parametrize("empty", [None, ""])
def test_a_call_without_an_id_gets_one(empty: str | None) -> None:
    machine = CompletionStream(id_prefix="call_t1_")
    delta = {"index": 0, "id": empty, "function": {"name": "look", "arguments": PARIS}}
    outputs, _ = read(done(chunk({"tool_calls": [delta]}, "tool_calls")), machine)
    assert outputs[0] == ToolCall("call_t1_0", "look", PARIS)


def test_an_id_that_comes_late_is_taken() -> None:
    assert calls_of(call(0, None, "look"), call(0, "c1", None, "{}")) == [ToolCall("c1", "look", "{}")]


@pytest.mark.parametrize("arguments", [None, "", {}])
def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    assert calls_of({"index": 0, "id": "c1", "function": {"name": "look", "arguments": arguments}}) == [
        ToolCall("c1", "look", "{}")
    ]


def test_arguments_may_be_an_object() -> None:
    assert calls_of(call(0, "c1", "look", {"city": "Paris"})) == [ToolCall("c1", "look", PARIS)]


def test_arguments_that_are_not_json_are_what_the_model_wrote() -> None:
    assert calls_of(call(0, "c1", "look", "{city")) == [ToolCall("c1", "look", "{city")]


def test_the_old_form_of_one_call() -> None:
    chunks = [chunk({"function_call": {"name": "look", "arguments": '{"city":'}})]
    outputs, _ = read(done(*chunks, chunk({"function_call": {"arguments": '"Paris"}'}}), chunk({}, "function_call")))
    assert outputs[0] == ToolCall("call_0", "look", PARIS)


class TestPlain:
    def test_each_entry_is_a_call(self) -> None:
        entries = [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": PARIS}},
            {"function": {"name": "look", "arguments": {"city": "Rome"}}},
            {"id": "c1", "function": {"name": "look", "arguments": ""}},
        ]
        outputs, error = read_plain(plain({"role": "assistant", "content": None, "tool_calls": entries}, "tool_calls"))
        assert error is None
        assert outputs[:-1] == [
            ToolCall("c1", "look", PARIS),
            ToolCall("call_1", "look", ROME),
            ToolCall("c1", "look", "{}"),
        ]

    def test_the_old_form(self) -> None:
        outputs, _ = read_plain(plain({"function_call": {"name": "look", "arguments": PARIS}}, "function_call"))
        assert outputs[0] == ToolCall("call_0", "look", PARIS)


class TestFaults:
    @pytest.mark.parametrize("delta", [call(0, "c1", None, "{}"), call(0, "c1", "", "{}"), call(arguments="{}"), {}])
    def test_a_call_without_a_name(self, delta: Any) -> None:
        outputs, error = read(done(chunk({"content": "a", "tool_calls": [delta]}, "tool_calls")))
        assert len(outputs) == 1
        assert error is not None
        assert error.message == "the model server broke its protocol: a tool call has no name"

    def test_too_many_calls(self) -> None:
        gatherer = ToolCallGatherer("call_")
        for number in range(MAX_CALLS):
            gatherer.receive_delta(call(number, name="a"))
        with pytest.raises(ServerError, match="more than 128 tools are called"):
            gatherer.receive_delta(call(MAX_CALLS, name="a"))

    @pytest.mark.parametrize(
        "piece", [call(0, None, None, "x" * 11), call(0, "i" * 11), call(0, None, None, {"x": "y" * 9})]
    )
    def test_arguments_that_are_too_long(self, piece: Any) -> None:
        gatherer = ToolCallGatherer("call_", max_arguments=20)
        gatherer.receive_delta(call(0, name="a", arguments="x" * 10))
        with pytest.raises(ServerError, match="the tool calls are longer than 20 characters"):
            gatherer.receive_delta(piece)

    def test_a_name_that_is_too_long(self) -> None:
        gatherer = ToolCallGatherer("call_")
        gatherer.receive_delta(call(0, name="a" * 256))
        with pytest.raises(ServerError, match="the name of a tool is longer than 256 characters"):
            gatherer.receive_delta(call(0, name="b"))

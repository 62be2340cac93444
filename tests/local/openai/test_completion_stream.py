"""What a model server streams, as outputs: what the API says, and what servers do beside it."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_local.execution import Finish, Text, ToolCall, Usage
from hestiaos_local.openai import CompletionStream
from tests.support.completions import DONE, call, chunk, done, event, read, stream, texts

ROLE = chunk({"role": "assistant", "content": ""})
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HELLO = (ROLE, chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))


def test_texts_come_in_their_pieces_then_usage_and_finish() -> None:
    outputs, error = read(done(*HELLO, {"choices": [], "usage": USAGE}))
    assert outputs == [Text("Hel"), Text("lo"), Usage(3, 2), Finish("stop")]
    assert error is None


def test_a_text_is_given_as_soon_as_its_event_is_complete() -> None:
    machine = CompletionStream()
    machine.receive_data(stream(ROLE, chunk({"content": "a"})))
    assert list(machine.events()) == [Text("a")]
    assert list(machine.events()) == []
    assert not machine.finished


def test_outputs_that_are_not_fetched_at_once_are_not_lost() -> None:
    machine = CompletionStream()
    machine.receive_data(done(*HELLO))
    first = next(machine.events())
    assert not machine.finished
    assert [first, *machine.events()] == [Text("Hel"), Text("lo"), Finish("stop")]
    assert machine.finished


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_as_the_standard_says(line_end: bytes) -> None:
    outputs, error = read(done(*HELLO).replace(b"\n", line_end))
    assert (texts(outputs), error) == ("Hello", None)


@pytest.mark.parametrize(
    "between",
    [b": keep-alive\n\n", b":\n", b"data:\n\n", b"data: \n\n", b"event: ping\n\n", b"id: 7\n\n", b"retry: 10\n\n"],
)
def test_what_keeps_a_connection_alive_says_nothing(between: bytes) -> None:
    outputs, error = read(between + b"".join(event(each) + between for each in HELLO) + DONE)
    assert (texts(outputs), outputs[-1], error) == ("Hello", Finish("stop"), None)


@pytest.mark.parametrize(
    "silent",
    [
        {"choices": []},
        {"choices": None},
        {"object": "chat.completion.chunk"},
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
        chunk(None),
        chunk({"content": None}),
        chunk({"content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"reasoning": "hm", "content": ""}),
        chunk({"tool_calls": None}),
        chunk({"tool_calls": []}),
        {"choices": [{"delta": None, "finish_reason": None}]},
        {"choices": [{"index": 1, "delta": {"content": "of another choice"}, "finish_reason": "length"}]},
        {"choices": [{"index": 0, "delta": {"content": [{"type": "thinking", "thinking": "hm"}]}}]},
        {"choices": [{"finish_reason": ""}]},
    ],
)
def test_a_chunk_without_text_of_the_answer_gives_nothing(silent: dict[str, Any]) -> None:
    assert read(done(silent, *HELLO, silent)) == read(done(*HELLO))


def test_the_first_of_several_choices_is_read() -> None:
    both = {"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]}
    assert texts(read(done(both, *HELLO))[0]) == "aHello"


def test_a_choice_without_an_index_is_the_first() -> None:
    assert texts(read(done({"choices": [{"delta": {"content": "a"}}]}, *HELLO))[0]) == "aHello"


def test_a_content_in_parts_is_their_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "hm"}, {"text": "b"}, 7, {"type": "text"}]
    assert texts(read(done(chunk({"content": parts}), *HELLO))[0]) == "abHello"


def test_a_refusal_is_text() -> None:
    assert read(done(chunk({"refusal": "I will not"}, "stop")))[0] == [Text("I will not"), Finish("stop")]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("function_call", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
    ],
)
def test_finish_reasons(said: str, reason: str) -> None:
    outputs, _ = read(done(chunk({"content": "a"}), chunk({}, said)))
    assert outputs[-1] == Finish(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize("said", ["stop", "tool_calls", "function_call", "eos"])
def test_an_answer_with_tool_calls_finishes_for_them(said: str) -> None:
    outputs, _ = read(done(chunk({"tool_calls": [call(0, "c1", "look", "{}")]}, said)))
    assert outputs == [ToolCall("c1", "look", "{}"), Finish("tool_calls")]


def test_an_answer_cut_at_its_limit_has_finish_reason_length_with_tool_calls_too() -> None:
    outputs, _ = read(done(chunk({"tool_calls": [call(0, "c1", "look", '{"a')]}, "length")))
    assert outputs == [ToolCall("c1", "look", '{"a'), Finish("length")]


class TestUsage:
    @pytest.mark.parametrize("places", ["in the last chunk", "in each chunk", "after the end of the choice"])
    def test_the_last_one_counts_and_comes_once(self, places: str) -> None:
        first = USAGE | {"completion_tokens": 1} if places == "in each chunk" else None
        last = USAGE if places != "after the end of the choice" else None
        chunks: list[Any] = [chunk({"content": "a"}, usage=first), chunk({}, "stop", usage=last)]
        if last is None:
            chunks.append({"choices": [], "usage": USAGE})
        assert read(done(*chunks))[0] == [Text("a"), Usage(3, 2), Finish("stop")]

    @pytest.mark.parametrize(
        "usage",
        [
            None,
            {},
            7,
            {"prompt_tokens": 3},
            {"prompt_tokens": 3, "completion_tokens": None},
            {"prompt_tokens": "3", "completion_tokens": 2},
            {"prompt_tokens": True, "completion_tokens": 2},
            {"prompt_tokens": 3, "completion_tokens": 2.5},
            {"prompt_tokens": -1, "completion_tokens": 2},
        ],
    )
    def test_one_without_both_numbers_is_none(self, usage: Any) -> None:
        assert read(done(chunk({"content": "a"}, "stop", usage=usage)))[0] == [Text("a"), Finish("stop")]


class TestSurrogates:
    """JSON lets a string hold half a character; what is given can always be encoded."""

    def test_halves_in_two_chunks_are_one_character(self) -> None:
        outputs, _ = read(done(chunk({"content": "a\ud83d"}), chunk({"content": "\ude00b"}), chunk({}, "stop")))
        assert outputs == [Text("a"), Text("\U0001f600b"), Finish("stop")]

    def test_a_lone_half_is_replaced(self) -> None:
        outputs, _ = read(done(chunk({"content": "a\ude00b\ud83d"}), chunk({"content": "c\ud83d"}, "stop")))
        assert texts(outputs) == "a\ufffdb\ufffdc\ufffd"

    def test_those_of_a_tool_call_are_joined_over_its_pieces(self) -> None:
        pieces = [call(0, "c\ud83d", "look\ude00", '"\ud83d'), call(0, arguments='\ude00"')]
        outputs, _ = read(done(*(chunk({"tool_calls": [each]}) for each in pieces), chunk({}, "stop")))
        assert outputs[0] == ToolCall("c\ufffd", "look\ufffd", '"\U0001f600"')


class TestEnd:
    def test_what_comes_after_done_is_not_read(self) -> None:
        machine = CompletionStream()
        outputs, error = read([done(*HELLO) + b"data: nonsense\n\n", b"data: more\n\n"], machine)
        assert (texts(outputs), error, machine.finished) == ("Hello", None, True)

    def test_done_may_be_missing_after_a_finish_reason(self) -> None:
        assert read(stream(*HELLO)) == read(done(*HELLO))

    def test_a_finish_reason_may_be_missing_before_done(self) -> None:
        assert read(done(*HELLO[:-1])) == read(done(*HELLO))

    @pytest.mark.parametrize("left", [1, 2, 3])
    def test_without_both_the_stream_was_cut(self, left: int) -> None:
        outputs, error = read(stream(*HELLO[:left]))
        assert texts(outputs) == "Hello"[: 3 * (left - 1)]
        assert error is not None
        assert (error.code, error.status_code) == ("MODEL_STREAM_CUT", 502)

    @pytest.mark.parametrize("data", [b"", DONE, stream({"choices": []}), done({"choices": []}), b": hello\n\n"])
    def test_without_any_choice_there_is_no_answer(self, data: bytes) -> None:
        outputs, error = read(data)
        assert outputs == []
        assert error is not None
        assert error.message == "the model server's answer was cut off: it has no answer"

    def test_an_event_without_its_blank_line_is_discarded_as_the_standard_says(self) -> None:
        outputs, error = read(stream(*HELLO)[:-1])
        assert texts(outputs) == "Hello"
        assert error is not None
        assert error.code == "MODEL_STREAM_CUT"

    def test_tool_calls_of_a_stream_that_was_cut_are_not_given(self) -> None:
        outputs, error = read(stream(chunk({"content": "a", "tool_calls": [call(0, "c1", "look", "{}")]})))
        assert outputs == [Text("a")]
        assert error is not None


class TestFaults:
    @pytest.mark.parametrize(
        ("bad", "told"),
        [
            ("{", "it sent invalid JSON"),
            ("nonsense", "it sent invalid JSON (Expecting value, at line 1 column 1): 'nonsense'"),
            ("[" * 200, "it sent invalid JSON"),
            ("NaN", "it sent invalid JSON"),
            ("7", "it sent JSON that is not an object"),
            ("[]", "it sent JSON that is not an object"),
            ("null", "it sent JSON that is not an object"),
            ({"choices": {}}, "choices is not a list of JSON objects"),
            ({"choices": [7]}, "choices is not a list of JSON objects"),
            (chunk([]), "the delta of a choice is not a JSON object"),
            (chunk({"content": 7}), "the content is neither a text nor a list"),
            (chunk({"content": {}}), "the content is neither a text nor a list"),
            (chunk({"tool_calls": {}}), "tool_calls is not a list of JSON objects"),
            (chunk({"tool_calls": [7]}), "tool_calls is not a list of JSON objects"),
            (chunk({"tool_calls": [{"function": 7}]}), "the function of a tool call is not a JSON object"),
            (chunk({"function_call": 7}), "the function of a tool call is not a JSON object"),
            (chunk({"tool_calls": [{"id": 7}]}), "the id of a tool call is not a text"),
            (chunk({"tool_calls": [call(0, name=7)]}), "the name of a tool call is not a text"),  # type: ignore[arg-type]
            (chunk({"tool_calls": [call(0, name="a", arguments=7)]}), "neither a text nor an object"),
        ],
    )
    def test_garbage_is_reported_after_what_came_before(self, bad: Any, told: str) -> None:
        outputs, error = read(stream(*HELLO[:2], bad, *HELLO))
        assert outputs == [Text("Hel")]
        assert error is not None
        assert (error.code, error.status_code) == ("MODEL_PROTOCOL_ERROR", 502)
        assert error.message.startswith("the model server broke its protocol: ")
        assert told in error.message

    def test_the_texts_of_a_chunk_come_before_its_fault(self) -> None:
        outputs, error = read(stream(chunk({"content": "a", "tool_calls": 7})))
        assert outputs == [Text("a")]
        assert error is not None

    def test_a_fault_stays(self) -> None:
        machine = CompletionStream()
        _, error = read(stream("nonsense"), machine)
        assert read(done(*HELLO), machine) == ([], error)
        assert not machine.finished

    def test_a_stream_that_has_ended_takes_nothing_more(self) -> None:
        machine = CompletionStream()
        _, error = read(b"", machine)
        assert error is not None
        assert read(done(*HELLO), machine) == ([], error)

    def test_an_end_twice_is_one(self) -> None:
        machine = CompletionStream()
        machine.receive_data(stream(*HELLO))
        machine.receive_data(b"")
        machine.receive_data(b"")
        assert texts(machine.events()) == "Hello"

    @pytest.mark.parametrize("piece", [b"data: " + b"x" * 200, b"data: xxxxxxxx\n" * 20], ids=["line", "event"])
    def test_a_chunk_that_is_too_large_is_refused(self, piece: bytes) -> None:
        outputs, error = read([stream(HELLO[1]), piece], CompletionStream(max_chunk_size=150))
        assert outputs == [Text("Hel")]
        assert error is not None
        assert error.code == "MODEL_PROTOCOL_ERROR"
        assert "150 bytes" in error.message

    def test_the_key_is_not_repeated(self) -> None:
        for bad in ("x sk-4711 y", {"error": {"message": "the key sk-4711 is wrong"}}):
            _, error = read(stream(bad))
            assert error is not None
            assert "***" in error.message
            assert "4711" not in f"{error!r} {error} {error.body!r} {error.details!r}"


class TestErrorsInTheStream:
    """Status 200 was sent, and then something went wrong: each server says it in its own way."""

    @pytest.mark.parametrize(
        "value",
        [
            {"error": {"message": "out of memory", "type": "server_error", "code": None}},
            {"error": {"message": "out of memory", "code": 500}},
            {"error": "out of memory"},
            {"error": {"message": "out of memory"}, "message": "another"},
            {"object": "error", "message": "out of memory", "code": 500},
            {"choices": [], "error": {"detail": "out of memory"}},
        ],
    )
    def test_it_is_raised_with_what_the_server_says(self, value: Any) -> None:
        outputs, error = read(stream(*HELLO[:2], value) + DONE)
        assert outputs == [Text("Hel")]
        assert error is not None
        assert (error.code, error.status_code) == ("MODEL_FAILED", 502)
        assert error.message == "the model server failed: an error in its answer: out of memory"

    def test_the_type_of_an_event_may_say_it(self) -> None:
        _, error = read(b'event: error\ndata: {"detail": "out of memory"}\n\n')
        assert error is not None
        assert error.message == "the model server failed: an error in its answer: out of memory"

    @pytest.mark.parametrize(
        ("code", "status", "kind"),
        [
            (400, 422, "INVALID_INPUT"),
            ("429", 429, "MODEL_RATE_LIMITED"),
            (503, 503, "MODEL_UNAVAILABLE"),
            (404, 404, "MODEL_NOT_FOUND"),
            (401, 502, "MODEL_AUTHENTICATION_FAILED"),
            (200, 502, "MODEL_FAILED"),
            (7, 502, "MODEL_FAILED"),
            ("rate", 502, "MODEL_FAILED"),
            ("\u0664\u0662\u0669", 502, "MODEL_FAILED"),
            (True, 502, "MODEL_FAILED"),
        ],
    )
    def test_a_status_that_it_names_counts(self, code: Any, status: int, kind: str) -> None:
        for name in ("code", "status"):
            _, error = read(stream({"error": {"message": "no", name: code}}))
            assert error is not None
            assert (error.status_code, error.code) == (status, kind)

    @pytest.mark.parametrize("value", [{"error": {}}, {"error": []}, {"error": None}, {"error": ""}])
    def test_an_empty_one_is_none(self, value: dict[str, Any]) -> None:
        assert read(done(value, *HELLO)) == read(done(*HELLO))

    @pytest.mark.parametrize("value", [{"error": 7}, {"error": [1]}, {"error": {"message": 7}}, {"error": {"a": "b"}}])
    def test_one_of_another_form_is_reported_without_a_quote(self, value: dict[str, Any]) -> None:
        _, error = read(stream(value))
        assert error is not None
        assert error.message == "the model server failed: an error in its answer"

    def test_a_long_message_is_cut(self) -> None:
        _, error = read(stream({"error": "x" * 10_000}))
        assert error is not None
        assert error.message.endswith("x…")
        assert len(error.message) < 600

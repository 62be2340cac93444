"""The text of a stream: joined from its events, printable, and bounded."""

from __future__ import annotations

import pytest

from hestiaos_proto import LocalProtocolError, StreamEvent
from hestiaos_proto._text import StreamText, TextRun, join_surrogates

HIGH, LOW = "\ud83d", "\ude00"

JOINED = {
    "ASCII": ("abc", "abc"),
    "empty": ("", ""),
    "not ASCII": ("é\u2028😀\ufeff", "é\u2028😀\ufeff"),
    "a pair": (HIGH + LOW, "😀"),
    "pairs among text": ("a" + HIGH + LOW + "é" + HIGH + LOW, "a😀é😀"),
    "a high surrogate alone": (HIGH, "\ufffd"),
    "a low surrogate alone": (LOW, "\ufffd"),
    "the wrong way round": (LOW + HIGH, "\ufffd\ufffd"),
    "two high, one low": (HIGH + HIGH + LOW, "\ufffd😀"),
    "one high, two low": (HIGH + LOW + LOW, "😀\ufffd"),
    "a high one before text": (HIGH + "a", "\ufffda"),
    "a high one before a character of two": (HIGH + "😀", "\ufffd😀"),
    "the first and the last pair": ("\ud800\udc00\udbff\udfff", "\U00010000\U0010ffff"),
    "beside the surrogates": ("\ud7ff\ue000\uffff", "\ud7ff\ue000\uffff"),
}
joined = pytest.mark.parametrize(("text", "expected"), JOINED.values(), ids=JOINED)


@joined
def test_surrogates_are_joined_or_replaced(text: str, expected: str) -> None:
    assert join_surrogates(text) == expected
    expected.encode()


@joined
def test_wherever_a_text_is_cut_it_is_the_same(text: str, expected: str) -> None:
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            for asked in (False, True):  # whether someone looks at the text in between
                whole = StreamText(100)
                for part in (text[:first], text[first:second], text[second:]):
                    whole.append(part)
                    if asked:
                        whole.join().encode()
                assert whole.join() == expected
                assert whole.join() == expected


def test_half_of_a_character_is_replaced_until_the_other_half_comes() -> None:
    text = StreamText(100)
    text.append("a" + HIGH)
    assert text.join() == "a\ufffd"
    text.append(LOW + "b")
    assert text.join() == "a😀b"


class TestLimit:
    def test_at_it_and_over_it(self) -> None:
        text = StreamText(3)
        text.append("ab")
        text.append("c")
        assert text.join() == "abc"
        text.append("d")
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match="more than 3 characters and was not kept"):
                text.join()
            text.append("")

    def test_a_text_over_it_is_dropped_at_once(self) -> None:
        text = StreamText(1000)
        text.append("a" * 600)
        text.join()
        text.append("b" * 300)
        text.append("c" * 200)
        assert not any(isinstance(held, (str, list)) and held for held in vars(text).values())

    def test_the_halves_of_a_pair_count_one_by_one(self) -> None:
        text = StreamText(2)
        text.append(HIGH)
        text.append(LOW)
        assert text.join() == "😀"


class TestRun:
    def events(self, *texts: object) -> list[StreamEvent]:
        return [StreamEvent("token", {"text": text}) for text in texts]

    def test_the_text_is_that_of_the_events_handed_out(self) -> None:
        events = self.events("a", "b", "c")
        run = TextRun(events)
        assert (len(run), run.received, run.last, run.take_text()) == (3, 0, None, "")
        next(run.left)
        assert (run.received, run.last, run.take_text(), run.take_text()) == (1, events[0], "a", "")
        assert list(run.left) == events[1:]
        assert (run.received, run.last, run.take_text(), run.take_text()) == (3, events[2], "bc", "")

    def test_all_at_once(self) -> None:
        run = TextRun(self.events("a", "b"))
        list(run.left)
        assert run.take_text() == "ab"

    def test_some_from_the_middle(self) -> None:
        run = TextRun(self.events("a", "b", "c", "d"))
        next(run.left)
        run.take_text()
        next(run.left)
        next(run.left)
        assert run.take_text() == "bc"

    def test_an_empty_one(self) -> None:
        run = TextRun([])
        assert not run
        assert (run.received, run.last, run.take_text()) == (0, None, "")

    @pytest.mark.parametrize("text", [1, None, [], b"a"], ids=repr)
    def test_a_text_of_another_type(self, text: object) -> None:
        with pytest.raises(TypeError):
            TextRun(self.events("a", text))

    def test_no_text(self) -> None:
        with pytest.raises(KeyError):
            TextRun([*self.events("a"), StreamEvent("token")])

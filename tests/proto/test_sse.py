"""Server-sent events, rule by rule of the WHATWG standard, each stream cut at every place."""

from __future__ import annotations

from contextlib import suppress

import pytest

from hestiaos_proto import (
    RemoteProtocolError,
    ServerSentEvent,
    SSEDecoder,
    encode_comment,
    encode_event,
)

E = ServerSentEvent

STREAMS: dict[str, tuple[bytes, list[ServerSentEvent]]] = {
    "LF": (b"data: a\n\n", [E("a")]),
    "CR": (b"data: a\r\r", [E("a")]),
    "CRLF": (b"data: a\r\n\r\n", [E("a")]),
    "CRLF between the lines of one event": (b"data: a\r\ndata: b\r\n\r\n", [E("a\nb")]),
    "mixed": (b"data: a\rdata: b\ndata: c\r\n\n", [E("a\nb\nc")]),
    "CR LF LF is two ends": (b"data: a\r\n\ndata: b\n\n", [E("a"), E("b")]),
    "LF CR is two ends": (b"data: a\n\rdata: b\n\r", [E("a"), E("b")]),
    "CR CR LF is two ends": (b"data: a\r\r\ndata: b\r\r\n", [E("a"), E("b")]),
    "a LF after the LF of a CRLF counts": (b"data: a\r\n\n\n", [E("a")]),
    "no other character ends a line": (
        "data: a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei\n\n".encode(),
        [E("a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei")],
    ),
    "one leading BOM is dropped": (b"\xef\xbb\xbfdata: a\n\n", [E("a")]),
    "a second BOM is part of the field's name": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\ndata: b\n\n", [E("b")]),
    "a later BOM is text": (b"\n\xef\xbb\xbfdata: a\ndata: \xef\xbb\xbfb\n\n", [E("\ufeffb")]),
    "a BOM alone on its line": (b"\xef\xbb\xbf\ndata: a\n\n", [E("a")]),
    "a BOM cut short is text": (b"\xef\xbbdata: a\ndata: b\n\n", [E("b")]),
    "comments": (b": c\n:\n:data: no\ndata: a\n: data: no\n\n: c\n\n", [E("a")]),
    "a field without colon has an empty value": (b"data\n\ndata\ndata\n\n", [E(""), E("\n")]),
    "one space is removed, and one only": (b"data:a\ndata: b\ndata:  c\ndata:\td\n\n", [E("a\nb\n c\n\td")]),
    "only the first colon counts": (b"data: a:b: c\n\n", [E("a:b: c")]),
    "white space before a name makes another field": (b" data: no\n\tdata: no\ndata : no\n\n", []),
    "names are case-sensitive": (b"Data: no\nDATA: no\n\n", []),
    "unknown fields are ignored": (b"foo: 1\nfoo\ndata: a\nx\n\n", [E("a")]),
    "an empty data line dispatches": (b"data:\n\ndata: \n\n", [E(""), E("")]),
    "no data, no event": (b"event: x\n\nid: 1\n\nretry: 1\n\n\n\n", []),
    "the type is reset by each blank line": (
        b"event: x\ndata: a\n\ndata: b\n\nevent: y\n\ndata: c\n\n",
        [E("a", "x"), E("b"), E("c")],
    ),
    "the last type counts, and an empty one is message": (
        b"event: x\nevent: y\ndata: a\n\nevent: x\nevent\ndata: b\n\n",
        [E("a", "y"), E("b")],
    ),
    "an id stays": (b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", [E("a", id="1"), E("b", id="1"), E("c")]),
    "an id with NUL is ignored": (b"id: 1\nid: 2\0\ndata: a\n\n", [E("a", id="1")]),
    "an id without data counts from its blank line on": (b"id: 7\n\ndata: a\n\n", [E("a", id="7")]),
    "the end of the stream discards": (b"data: a\n\ndata: b\n", [E("a")]),
    "also a blank line cut short": (b"data: a\n\ndata: b", [E("a")]),
    "invalid UTF-8 is U+FFFD": (b"data: \xff\xc3(\xe2\x82\n\n", [E("\ufffd\ufffd(\ufffd")]),
    "an overlong form too, once a byte": (b"data: \xc0\xaf\n\n", [E("\ufffd\ufffd")]),
    "a character is whole wherever it is cut": ("data: é€😀\n\n".encode(), [E("é€😀")]),
    "event and id are UTF-8 too": ("event: é\nid: 😀\ndata: \n\n".encode(), [E("", "é", "😀")]),
    "NUL is text": (b"data: a\0b\n\n", [E("a\0b")]),
    "empty": (b"", []),
}

streams = pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS)


def decode(pieces: list[bytes], decoder: SSEDecoder | None = None) -> list[ServerSentEvent]:
    """The events of a stream that arrives in these pieces and ends."""
    decoder = decoder or SSEDecoder()
    events = []
    for piece in [*filter(None, pieces), b""]:
        decoder.receive_data(piece)
        events += decoder.events()
    return events


@streams
def test_every_cut(cuts, stream: bytes, events: list[ServerSentEvent]) -> None:
    for pieces in cuts(stream):
        assert decode(pieces) == events, pieces


@streams
def test_events_wait_until_they_are_asked_for(stream: bytes, events: list[ServerSentEvent]) -> None:
    decoder = SSEDecoder()
    for i in range(len(stream)):
        decoder.receive_data(stream[i : i + 1])
    decoder.receive_data(b"")
    assert list(decoder.events()) == events


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=repr)
def test_an_event_comes_with_its_last_byte(end: bytes) -> None:
    """A CR is not held back to see whether an LF follows."""
    decoder = SSEDecoder()
    decoder.receive_data(b"data: a" + end + end[:1])
    assert list(decoder.events()) == [E("a")]


def test_an_abandoned_iterator_loses_nothing() -> None:
    decoder = SSEDecoder()
    decoder.receive_data(b"data: a\n\ndata: b\n\ndata: c\n\n")
    assert next(decoder.events()) == E("a")
    assert next(decoder.events()) == E("b")
    assert list(decoder.events()) == [E("c")]


class TestLastEventId:
    def test_it_counts_from_the_blank_line_on(self) -> None:
        decoder = SSEDecoder()
        decoder.receive_data(b"id: 7\n")
        assert list(decoder.events()) == []
        assert decoder.last_event_id == ""
        decoder.receive_data(b"\n")
        assert list(decoder.events()) == []
        assert decoder.last_event_id == "7"

    def test_the_end_of_the_stream_is_not_a_blank_line(self) -> None:
        decoder = SSEDecoder()
        assert decode([b"id: 1\n\nid: 2\n"], decoder) == []
        assert decoder.last_event_id == "1"

    def test_an_empty_id_resets_it(self) -> None:
        decoder = SSEDecoder()
        decode([b"id: 1\n\nid\n\n"], decoder)
        assert decoder.last_event_id == ""


class TestRetry:
    @pytest.mark.parametrize(
        ("value", "milliseconds"),
        [(b"0", 0), (b"1500", 1500), (b"007", 7), (b"9" * 4300, 10**4300 - 1)],
        ids=["0", "1500", "007", "4,300 digits"],
    )
    def test_digits(self, value: bytes, milliseconds: int) -> None:
        decoder = SSEDecoder()
        assert decode([b"retry: " + value + b"\ndata: a\n\n"], decoder) == [E("a", retry=milliseconds)]
        assert decoder.reconnection_time == milliseconds

    @pytest.mark.parametrize(
        "value",
        [
            b"-5",
            b"+5",
            b"5.0",
            b"5 ",
            b" 5",
            b"5e3",
            b"0x5",
            b"1_0",
            "\N{FULLWIDTH DIGIT FIVE}".encode(),
            "\N{ARABIC-INDIC DIGIT FIVE}".encode(),
            "\N{SUPERSCRIPT TWO}".encode(),
            b"",
            b"9" * 4301,
            b"9" * 5000,
        ],
        ids=lambda value: repr(value[:10]),
    )
    def test_anything_else_is_ignored(self, value: bytes) -> None:
        decoder = SSEDecoder()
        assert decode([b"retry: 3\n\nretry: " + value + b"\ndata: a\n\n"], decoder) == [E("a")]
        assert decoder.reconnection_time == 3

    def test_without_it_there_is_no_reconnection_time(self) -> None:
        decoder = SSEDecoder()
        decode([b"data: a\n\n"], decoder)
        assert decoder.reconnection_time is None

    def test_it_counts_at_once_and_belongs_to_its_block_only(self) -> None:
        decoder = SSEDecoder()
        assert decode([b"retry: 5\n\ndata: a\n\n"], decoder) == [E("a")]
        assert decoder.reconnection_time == 5


class TestLimits:
    @pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n", b"\xef\xbb\xbf\n"], ids=repr)
    def test_a_line_at_the_limit(self, cuts, start: bytes) -> None:
        for pieces in cuts(start + b"data:67890\n\n"):
            assert decode(pieces, SSEDecoder(10)) == [E("67890")], pieces

    @pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n"], ids=repr)
    @pytest.mark.parametrize("end", [b"", b"\n\n"], ids=["without end", "with end"])
    def test_a_line_over_the_limit(self, cuts, start: bytes, end: bytes) -> None:
        for pieces in cuts(start + b"data:678901" + end):
            with pytest.raises(RemoteProtocolError, match="longer than 10 bytes"):
                decode(pieces, SSEDecoder(10))

    def test_an_event_at_the_limit(self, cuts) -> None:
        """The limit is of the data as it is handed out: two lines and the LF between them."""
        for pieces in cuts(b"data:6789\ndata:67890\n\n"):
            assert decode(pieces, SSEDecoder(10)) == [E("6789\n67890")], pieces

    def test_an_event_over_the_limit(self, cuts) -> None:
        for pieces in cuts(b"data:67890\ndata:67890\n\n"):
            with pytest.raises(RemoteProtocolError, match="larger than 10 bytes"):
                decode(pieces, SSEDecoder(10))

    def test_what_came_whole_is_delivered_before_the_error_which_stays(self, cuts) -> None:
        for pieces in cuts(b"data: a\n\n: too long a line\n\ndata: b\n\n"):
            decoder = SSEDecoder(10)
            for piece in pieces:
                decoder.receive_data(piece)
            events = decoder.events()
            assert next(events) == E("a")
            with pytest.raises(RemoteProtocolError) as first:
                next(events)
            decoder.receive_data(b"data: b\n\n")
            with pytest.raises(RemoteProtocolError) as second:
                list(decoder.events())
            assert second.value is first.value

    def test_memory_is_bounded_while_a_block_does_not_end(self) -> None:
        decoder = SSEDecoder(1000)
        for _ in range(10_000):
            decoder.receive_data(b"data: " + b"x" * 100 + b"\n")
            with suppress(RemoteProtocolError):
                assert list(decoder.events()) == []
        assert len(decoder._data) <= 1102
        with pytest.raises(RemoteProtocolError, match="larger than 1000 bytes"):
            list(decoder.events())


class TestEncoding:
    @pytest.mark.parametrize(
        "data",
        ["", "a", "a\nb", "\n", "\n\n", " a", "  a ", ":", "data: x", "é😀\u2028\u0085\0", "\ufeff", "a\n\nb"],
        ids=repr,
    )
    def test_what_is_encoded_is_decoded(self, data: str) -> None:
        assert decode([encode_event(data)]) == [E(data)]
        encoded = encode_event(data, event=" é: ", id=" 1:😀", retry=5)
        assert decode([encoded]) == [E(data, " é: ", " 1:😀", 5)]

    @pytest.mark.parametrize("data", ["a\r\nb", "a\rb", "a\nb"], ids=repr)
    def test_every_line_end_arrives_as_lf(self, data: str) -> None:
        assert decode([encode_event(data)]) == [E("a\nb")]

    def test_the_bytes(self) -> None:
        assert encode_event("a\nb") == b"data: a\ndata: b\n\n"
        assert encode_event("a", event="x", id="", retry=0) == b"event: x\nid: \nretry: 0\ndata: a\n\n"
        assert encode_comment() == b": \n\n"
        assert encode_comment("é") == ": é\n\n".encode()

    def test_an_event_ends_what_came_before_it(self) -> None:
        assert decode([encode_event("a") + encode_comment("b") + encode_comment() + encode_event("c")]) == [
            E("a"),
            E("c"),
        ]

    @pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\r\nb", "\n"], ids=repr)
    def test_a_line_end_where_it_would_begin_another_field(self, text: str) -> None:
        for what, encode in (
            ("event", lambda: encode_event("a", event=text)),
            ("id", lambda: encode_event("a", id=text)),
            ("comment", lambda: encode_comment(text)),
        ):
            with pytest.raises(ValueError, match=f"^{what} may not contain a line end"):
                encode()

    def test_other_refused_values(self) -> None:
        with pytest.raises(ValueError, match=r"U\+0000"):
            encode_event("a", id="1\0")
        with pytest.raises(ValueError, match="retry is a number of milliseconds"):
            encode_event("a", retry=-1)
        with pytest.raises(ValueError, match="surrogate"):
            encode_event("\ud800")

"""The ids of a run's events: what a stream that is to be resumed makes of them."""

from __future__ import annotations

import pytest

from hestiaos_proto import HestiaError, LocalProtocolError, RemoteProtocolError, RunStream, StreamInterrupted, TimedOut
from tests.support.numbered_events import RUN, after, numbered
from tests.support.run_streams import GOOD, GOOD_TYPES, feed

PAYLOADS = [
    '{"type":"start"}',
    '{"type":"token","data":{"text":"ä"}}',
    '{"type":"token","data":{"text":"b"}}',
    '{"type":"final"}',
    '{"type":"done"}',
]
BLOCKS = numbered(PAYLOADS)
TYPES = ["start", "token", "token", "final", "done"]


def lost(*pieces: bytes) -> RunStream:
    """A stream whose connection was lost after these pieces."""
    stream = RunStream(resumable=True)
    _, fault = feed(stream, [*pieces, b""])
    assert isinstance(fault, StreamInterrupted), fault
    return stream


def resumed(*pieces: bytes, events: int = 2) -> tuple[list[str], HestiaError | None]:
    """What comes of these pieces where so many events came before the connection was lost."""
    stream = lost(*BLOCKS[:events])
    stream.reconnect()
    rest, fault = feed(stream, pieces)
    return [event.type for event in rest], fault


class TestTheLastId:
    def test_is_that_of_the_last_event_that_was_handed_out(self) -> None:
        stream = RunStream(resumable=True)
        assert stream.last_event_id is None
        stream.receive_data(b"".join(BLOCKS))
        assert [stream.last_event_id for _ in stream.events()] == [f"{RUN}/{number}" for number in range(5)]

    def test_is_not_that_of_an_event_whose_data_have_not_come(self) -> None:
        for cut in range(len(BLOCKS[0]), len(BLOCKS[0] + BLOCKS[1]) - len("}\n\n")):
            assert lost((BLOCKS[0] + BLOCKS[1])[:cut]).last_event_id == f"{RUN}/0"

    def test_is_not_read_by_a_stream_that_is_not_to_be_resumed(self) -> None:
        stream = RunStream()
        _, fault = feed(stream, [BLOCKS[0], b""])
        assert stream.last_event_id is None
        assert not stream.can_resume
        assert fault is not None
        assert fault.message == (
            "the stream ended before 'done', where token, delta, tool_call, final or error was expected, after 1 events"
        )
        assert [event.type for event in feed(RunStream(), [b"id: x\xff/\n" + GOOD, b""])[0]] == GOOD_TYPES

    @pytest.mark.parametrize("end", ["\n", "\r", "\r\n"], ids=["LF", "CR", "CRLF"])
    @pytest.mark.parametrize("size", [1, 7, 10_000])
    def test_is_found_whatever_the_line_ends_and_the_pieces(self, end: str, size: int) -> None:
        data = b"".join(numbered(PAYLOADS, end=end))
        stream = RunStream(resumable=True)
        events, fault = feed(stream, [*(data[at : at + size] for at in range(0, len(data), size)), b""])
        assert (len(events), fault, stream.last_event_id) == (5, None, f"{RUN}/4")

    @pytest.mark.parametrize(
        "line", [b"id:t/0", b"id: t/0", b": beat\n\nid: x\nid: t/0\nevent: e", b"id: t/0\nretry: 5"]
    )
    def test_is_that_of_the_last_id_line_before_the_data(self, line: bytes) -> None:
        assert lost(line + b"\n" + b'data: {"type":"start"}\n\n').last_event_id == "t/0"

    def test_belongs_to_data_over_several_lines(self) -> None:
        assert lost(b'id: t/0\ndata: {\ndata: "type":\ndata: "start"}\n\n').last_event_id == "t/0"

    @pytest.mark.parametrize(
        "data",
        [
            b'data: {"type":"start"}\n\n',
            b'id\ndata: {"type":"start"}\n\n',
            b'id: \ndata: {"type":"start"}\n\n',
            b'idle: t/0\ndata: {"type":"start"}\n\n',
            b'id: t/0\n\ndata: {"type":"start"}\n\n',  # it belongs to an event without data
            b'data: {"type":"start"}\nid: t/0\n\n',  # it comes after the data
            b'id: t/0\ndata: {"type":"start"}\ndata: {"type":"token"}\n\n',  # the second has none
            b'id: 12\ndata: {"type":"start"}\n\n',
            b'id: t/01\ndata: {"type":"start"}\n\n',
            b'id: t/-1\ndata: {"type":"start"}\n\n',
            b'id: t 1/1\ndata: {"type":"start"}\n\n',
            b'id: \xc3\xa4/1\ndata: {"type":"start"}\n\n',
            b"id: t/1" + b"0" * 18 + b'\ndata: {"type":"start"}\n\n',
            b"id: " + b"t" * 201 + b'/1\ndata: {"type":"start"}\n\n',
        ],
    )
    def test_is_none_for_an_event_that_has_no_id_of_the_form(self, data: bytes) -> None:
        stream = lost(data)
        assert stream.last_event_id is None
        assert not stream.can_resume
        assert str(stream.error).endswith("; there is no event id to resume from")

    def test_a_run_may_have_events_before_the_first_id(self) -> None:
        stream = lost(b'data: {"type":"start"}\n\n', BLOCKS[1])
        assert stream.last_event_id == f"{RUN}/1"

    def test_a_last_event_without_an_id_cannot_be_gone_on_from_but_a_further_one_with(self) -> None:
        bare = b'data: {"type":"token","data":{"text":"notice"}}\n\n'
        assert not lost(*BLOCKS[:2], bare).can_resume
        assert lost(*BLOCKS[:2], bare, BLOCKS[2]).last_event_id == f"{RUN}/2"


class TestWrongIds:
    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            (f"{RUN}/0", f"'{RUN}/0'"),
            (f"{RUN}/1", f"'{RUN}/1'"),
            (f"{RUN}/3", f"'{RUN}/3'"),
            ("other/2", "'other/2'"),
            ("2", "'2'"),
        ],
    )
    def test_an_id_that_does_not_follow_is_a_protocol_error(self, line: str, shown: str) -> None:
        event = f"id: {line}\n{PAYLOADS[2]}".replace("{", "data: {", 1)
        events, fault = feed(RunStream(resumable=True), [*BLOCKS[:2], f"{event}\n\n".encode()])
        assert len(events) == 2
        assert type(fault) is RemoteProtocolError
        assert fault.message == f"an event of the stream has the id {shown} where {RUN}/2 was expected"

    @pytest.mark.parametrize(("number", "shown"), [(3, f"the id '{RUN}/3'"), (4, f"the id '{RUN}/4'")])
    def test_a_gap_after_the_loss_is_a_protocol_error(self, number: int, shown: str) -> None:
        events, fault = resumed(BLOCKS[number])
        assert (events, type(fault)) == ([], RemoteProtocolError)
        assert str(fault).endswith(f"an event of the stream has {shown} where {RUN}/2 was expected")

    @pytest.mark.parametrize(
        ("data", "shown"),
        [
            (b'data: {"type":"start"}\n\n', "no id"),
            (b'id: \ndata: {"type":"start"}\n\n', "no id"),
            (b'id: other/2\ndata: {"type":"start"}\n\n', "the id 'other/2'"),
            (b'id: 2\ndata: {"type":"start"}\n\n', "the id '2'"),
        ],
    )
    def test_another_run_after_the_loss_is_a_protocol_error(self, data: bytes, shown: str) -> None:
        events, fault = resumed(data)
        assert (events, type(fault)) == ([], RemoteProtocolError)
        assert str(fault).endswith(f"an event of the stream has {shown} where {RUN}/2 was expected")

    def test_a_repeat_out_of_its_order_is_a_protocol_error(self) -> None:
        events, fault = resumed(BLOCKS[0], BLOCKS[2])
        assert (events, type(fault)) == ([], RemoteProtocolError)
        assert str(fault).endswith(f"the id '{RUN}/2' where {RUN}/1 was expected")


class TestGoingOn:
    @pytest.mark.parametrize("first", [0, 1, 2], ids=["from the start", "from the last", "after the last"])
    def test_each_event_is_handed_out_once(self, first: int) -> None:
        assert resumed(b"".join(BLOCKS[first:]), b"") == (TYPES[2:], None)

    def test_a_loss_among_repeats_changes_nothing(self) -> None:
        stream = lost(*BLOCKS[:3])
        for _ in range(2):
            stream.reconnect()
            assert feed(stream, [BLOCKS[0]]) == ([], None)
            events, fault = feed(stream, [b""])
            assert events == []
            assert isinstance(fault, StreamInterrupted)
            assert stream.last_event_id == f"{RUN}/2"
        stream.reconnect()
        assert feed(stream, [BLOCKS[3], BLOCKS[4], b""])[1] is None
        assert (stream.text, stream.events_received, stream.done) == ("äb", 5, True)

    def test_a_text_goes_on(self) -> None:
        stream = lost(*BLOCKS[:2], BLOCKS[2][:-8])
        assert stream.text == "ä"
        assert stream.last_event_id is not None
        stream.reconnect()
        assert stream.error is None
        events, fault = feed(stream, [after(BLOCKS, stream.last_event_id), b""])
        assert ([event.type for event in events], fault, stream.text) == (TYPES[2:], None, "äb")

    def test_a_silence_can_be_gone_on_from(self) -> None:
        stream = RunStream(resumable=True)
        feed(stream, [BLOCKS[0]])
        stream.connection_lost(TimedOut("silent"))
        with pytest.raises(TimedOut):
            list(stream.events())
        assert stream.can_resume

    @pytest.mark.parametrize("data", [b"data: 5\n\n", b'id: x/9\ndata: {"type":"token"}\n\n'], ids=["payload", "id"])
    def test_a_broken_stream_cannot_be_gone_on_from(self, data: bytes) -> None:
        stream = RunStream(resumable=True)
        _, fault = feed(stream, [BLOCKS[0], data])
        assert type(fault) is RemoteProtocolError
        assert not stream.can_resume
        with pytest.raises(LocalProtocolError, match="the stream cannot be resumed"):
            stream.reconnect()

    def test_a_stream_that_is_not_to_be_resumed_cannot_go_on(self) -> None:
        with pytest.raises(LocalProtocolError, match="the stream cannot be resumed"):
            RunStream().reconnect()

    def test_what_follows_done_is_not_missed(self) -> None:
        """Neither a loss there, nor a line with a further id."""
        stream = RunStream(resumable=True)
        assert feed(stream, [*BLOCKS])[1] is None
        assert not stream.finished
        assert feed(stream, [b"id: x\n"]) == ([], None)
        assert stream.finished
        assert feed(stream, [b""]) == ([], None)
        assert not stream.can_resume

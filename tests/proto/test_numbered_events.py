"""What a server that can resume sends and reads: events with ids, and where a client says to go on."""

from __future__ import annotations

import pytest

from hestiaos_proto import (
    NumberedEvent,
    RunStream,
    ServerRequest,
    SSEDecoder,
    StreamEvent,
    encode_stream_event,
)
from tests.support.run_streams import DONE, GOOD, GOOD_TYPES, feed


def test_an_event_with_a_number_has_its_id_on_the_wire() -> None:
    event = NumberedEvent("token", {"text": "a"}, "t-1", "now", number=7, extra={"more": 1})
    assert event.id == "t-1/7"
    data = encode_stream_event(event)
    assert data == b"id: t-1/7\n" + encode_stream_event(
        StreamEvent("token", {"text": "a"}, "t-1", "now", extra={"more": 1})
    )
    decoder = SSEDecoder()
    decoder.receive_data(data)
    assert [each.id for each in decoder.events()] == ["t-1/7"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("size", [1, 9, 10_000])
def test_a_stream_that_is_not_to_be_resumed_reads_over_ids(end: bytes, size: int) -> None:
    blocks = [b"id: t/%d\n" % number + b"data: " + rest for number, rest in enumerate(GOOD.split(b"data: ")[1:])]
    data = b"".join(blocks).replace(b"\n", end)
    events, fault = feed(RunStream(), [*(data[at : at + size] for at in range(0, len(data), size)), b""])
    assert [event.type for event in events] == GOOD_TYPES
    assert fault is None


def test_an_id_after_done_is_the_end_as_any_other_line() -> None:
    stream = RunStream()
    feed(stream, [GOOD.removesuffix(DONE), b"id: t/3\n" + DONE])
    assert not stream.finished
    feed(stream, [b"id: t/4\n"])
    assert stream.finished


@pytest.mark.parametrize(
    ("headers", "last_id", "resumable"),
    [
        ({}, None, False),
        ({"last-event-id": ""}, None, False),
        ({"last-event-id": "t/5"}, "t/5", False),
        ({"prefer": "resumable-stream"}, None, True),
        ({"prefer": "wait=5, Resumable-Stream; x=1"}, None, True),
        ({"prefer": "wait=5; resumable-stream, resumable-streams"}, None, False),
    ],
)
def test_a_request_says_where_to_go_on(headers: dict[str, str], last_id: str | None, resumable: bool) -> None:
    request = ServerRequest("run_stream", {}, headers)
    assert (request.last_event_id, request.resumable) == (last_id, resumable)

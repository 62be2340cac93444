"""Requests and responses as values: what a response collects, hands on to its stream, and refuses."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterable

import attrs
import pytest

from hestiaos_proto import (
    ConnectionLost,
    HestiaError,
    RemoteProtocolError,
    Request,
    Response,
    ResponseInfo,
    RunStream,
    StreamInterrupted,
    TimedOut,
)
from hestiaos_proto._config import MAX_HEAD_SIZE
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._redaction import Redactor

STREAM = b'data: {"type":"start"}\n\ndata: {"type":"final"}\n\ndata: {"type":"done"}\n\n'
TYPES = ["start", "final", "done"]


def streaming(*headers: tuple[bytes, bytes], content_type: bytes = b"text/event-stream", **options) -> Response:
    return Response(200, [(b"Content-Type", content_type), *headers], stream=RunStream(), **options)


def feed(response: Response, pieces: Iterable[bytes]) -> Response:
    for piece in [*pieces, b""]:
        response.receive_data(piece)
    return response


class TestRequest:
    def test_url(self) -> None:
        assert Request("GET", "http://h:1", "/a", {}).url == "http://h:1/a"

    def test_the_host_of_an_address_with_a_zone(self) -> None:
        assert Request("GET", "http://[fe80::1%eth0]:8", "/", {}).host == "[fe80::1]:8"
        assert Request("GET", "http://a%b]", "/", {}).host == "a%b]"  # of somebody's own making
        assert Request("GET", "http://[::1]", "/", {}).host == "[::1]"

    def test_its_repr_shows_neither_headers_nor_body(self) -> None:
        request = Request("POST", "http://h", "/a", {"Authorization": "Bearer hunter2"}, b"hunter2")
        assert repr(request) == "Request(method='POST', origin='http://h', target='/a')"

    def test_frozen(self) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            Request("GET", "http://h", "/a", {}).method = "POST"


class TestHeaders:
    def test_names_are_lower_case_and_repeated_ones_are_one_list(self) -> None:
        """RFC 9110, section 5.3."""
        response = Response(200, [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"\xe9")])
        assert response.headers == {"x-a": "1, 2", "x-b": "é"}

    @pytest.mark.parametrize(
        ("value", "media_type"),
        [
            (b"application/json", "application/json"),
            (b"Text/HTML; charset=utf-8", "text/html"),
            (b" text/event-stream ;x=y;z", "text/event-stream"),
            (b"", ""),
        ],
        ids=repr,
    )
    def test_content_type(self, value: bytes, media_type: str) -> None:
        assert Response(200, [(b"Content-Type", value)]).content_type == media_type
        assert Response(200, []).content_type == ""


class TestBody:
    def test_it_is_collected(self, cuts) -> None:
        for pieces in cuts(b'{"a": 1}'):
            assert feed(Response(200, []), pieces).body == b'{"a": 1}'

    def test_without_an_event_stream_the_stream_gets_nothing(self) -> None:
        for status, kind in [(200, b"application/json"), (503, b"text/event-stream"), (204, b"text/event-stream")]:
            response = Response(status, [(b"content-type", kind)], stream=RunStream())
            assert response.stream is None
            assert feed(response, [STREAM]).body == STREAM

    def test_an_event_stream_that_was_not_asked_for_is_a_body(self) -> None:
        response = Response(200, [(b"Content-Type", b"text/event-stream")])
        assert response.stream is None
        assert feed(response, [STREAM]).body == STREAM

    @pytest.mark.parametrize("pieces", [[b"x" * 10], [b"x"] * 10, [b"x" * 4, b"x" * 6]], ids=["1", "10", "2"])
    def test_at_the_limit(self, pieces: list[bytes]) -> None:
        assert feed(Response(200, [], max_body_size=10), pieces).body == b"x" * 10

    @pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x"] * 11, [b"x" * 10, b"x"]], ids=["1", "11", "2"])
    def test_over_the_limit(self, pieces: list[bytes]) -> None:
        with pytest.raises(RemoteProtocolError, match="larger than 10 bytes"):
            feed(Response(200, [], max_body_size=10), pieces)

    @pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
    def test_compressed_and_cut(self, cuts, coding: bytes) -> None:
        packed = {b"gzip": gzip.compress, b"deflate": zlib.compress}[coding](b'{"a": 1}')
        for pieces in cuts(packed):
            assert feed(Response(200, [(b"Content-Encoding", coding)]), pieces).body == b'{"a": 1}'

    def test_a_bomb_of_1_gib_stops_at_the_limit(self) -> None:
        packer = zlib.compressobj(wbits=31)
        head = packer.flush(zlib.Z_FULL_FLUSH)
        zeros = packer.compress(bytes(16 * 1024 * 1024)) + packer.flush(zlib.Z_FULL_FLUSH)
        bomb = head + 64 * zeros  # after a full flush, what follows stands for itself
        response = Response(200, [(b"content-encoding", b"gzip")], max_body_size=1024 * 1024)
        tracemalloc.start()
        try:
            with pytest.raises(RemoteProtocolError, match="larger than 1048576 bytes"):
                response.receive_data(bomb)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(response.body) <= 1024 * 1024
        assert peak < 4 * len(bomb) + 4 * 1024 * 1024

    def test_cut_damaged_or_in_an_unknown_coding(self) -> None:
        with pytest.raises(RemoteProtocolError, match="ends inside"):
            feed(Response(200, [(b"content-encoding", b"gzip")]), [gzip.compress(b"x")[:-1]])
        with pytest.raises(RemoteProtocolError, match="damaged"):
            feed(Response(200, [(b"content-encoding", b"gzip")]), [b"x" * 20])
        with pytest.raises(RemoteProtocolError, match="'br', which was not requested"):
            feed(Response(200, [(b"content-encoding", b"br")]), [b"x"])

    def test_a_lost_connection_is_raised_at_once(self) -> None:
        lost = ConnectionLost("reset")
        with pytest.raises(ConnectionLost) as caught:
            Response(200, []).connection_lost(lost)
        assert caught.value is lost


class TestRefusal:
    """A refusal whose body cannot be read is complete with what could be read of it, and its status stands."""

    @pytest.mark.parametrize("status", [199, 300, 302, 400, 404, 429, 500, 503])
    def test_in_a_coding_that_was_not_asked_for(self, status: int) -> None:
        response = Response(status, [(b"content-encoding", b"br")])
        response.receive_data(b"x")
        assert (response.complete, response.body) == (True, b"")

    @pytest.mark.parametrize("status", [200, 201, 299])
    def test_a_success_is_not_one(self, status: int) -> None:
        response = Response(status, [(b"content-encoding", b"br")])
        with pytest.raises(RemoteProtocolError):
            response.receive_data(b"x")
        assert not response.complete

    def test_in_damaged_data(self) -> None:
        packer = zlib.compressobj(wbits=31)
        packed = packer.compress(b'{"message": "no"') + packer.flush(zlib.Z_FULL_FLUSH)
        response = Response(503, [(b"content-encoding", b"gzip")])
        response.receive_data(packed + b"\xff" * 50)
        assert (response.complete, response.body) == (True, b'{"message": "no"')

    def test_cut_in_its_coding(self) -> None:
        response = Response(503, [(b"content-encoding", b"gzip")])
        response.receive_data(gzip.compress(b"no")[:-1])
        assert not response.complete
        response.receive_data(b"")
        assert (response.complete, response.body) == (True, b"no")

    @pytest.mark.parametrize("error", [ConnectionLost("reset"), RemoteProtocolError("bad chunk"), TimedOut("late")])
    def test_cut_by_its_connection(self, error: HestiaError) -> None:
        response = Response(503, [])
        response.receive_data(b"no")
        response.connection_lost(error)
        assert (response.complete, response.body, error.response) == (True, b"no", None)

    @pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x"] * 11, [b"x" * 10, b"x" * 9]], ids=["1", "11", "2"])
    def test_too_large(self, pieces: list[bytes]) -> None:
        response = feed(Response(403, [], max_body_size=10), pieces)
        assert (response.complete, response.body) == (True, b"x" * 10)

    def test_a_bomb(self) -> None:
        packed = gzip.compress(bytes(10_000_000))
        response = Response(500, [(b"content-encoding", b"gzip")], max_body_size=1000)
        response.receive_data(packed)
        assert (response.complete, response.body) == (True, bytes(1000))

    def test_past_the_deadline(self, clock) -> None:
        response = Response(503, [], deadline=Deadline(clock, 5.0))
        response.receive_data(b"a")
        clock.now += 5
        response.receive_data(b"b")
        assert (response.complete, response.body) == (True, b"a")

    def test_what_comes_after_it_is_ignored(self) -> None:
        response = Response(403, [], max_body_size=2)
        response.receive_data(b"abc")
        response.receive_data(b"d")
        response.receive_data(b"")
        response.connection_lost(ConnectionLost("reset"))
        assert response.body == b"ab"

    def test_whole(self) -> None:
        response = Response(403, [])
        response.receive_data(b"no")
        assert not response.complete
        response.receive_data(b"")
        assert (response.complete, response.body) == (True, b"no")

    def test_of_a_stream(self) -> None:
        response = Response(503, [(b"content-type", b"text/event-stream")], stream=RunStream())
        response.receive_data(b"no")
        response.connection_lost(ConnectionLost("reset"))
        assert (response.complete, response.body) == (True, b"no")


class TestInfo:
    def test_it_is_the_status_and_the_headers(self) -> None:
        response = Response(201, [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-Request-Id", b"r-1")])
        assert response.info == ResponseInfo(201, {"x-a": "1, 2", "x-request-id": "r-1"}, "r-1")
        assert Response(201, []).info.request_id is None
        assert repr(response.info) == "ResponseInfo(status=201, request_id='r-1')"

    def test_it_is_redacted(self) -> None:
        response = Response(200, [(b"X-A", b"a hunter2"), (b"hunter2", b"1")], redactor=Redactor("hunter2"))
        assert response.info.headers == {"x-a": "a ***", "***": "1"}

    def test_what_ends_a_body_has_it(self) -> None:
        for spoil in (
            lambda response: response.connection_lost(ConnectionLost("reset")),
            lambda response: response.receive_data(b"x" * 11),
        ):
            response = Response(200, [(b"X-Request-Id", b"r-1")], max_body_size=10)
            with pytest.raises(HestiaError) as caught:
                spoil(response)
            assert caught.value.response == response.info

    def test_a_response_that_is_complete_has_lost_nothing(self) -> None:
        response = feed(Response(200, []), [b"x"])
        response.connection_lost(ConnectionLost("reset"))
        response.receive_data(b"more")
        assert (response.complete, response.body) == (True, b"x")


class TestDescription:
    """Who answered, and with what, as the message of an error tells it."""

    @staticmethod
    def described(kind: bytes | None, body: bytes, url: str = "http://h/a", *, quoted: bool | None = None) -> str:
        headers = [] if kind is None else [(b"Content-Type", kind)]
        response = Response(502, headers, redactor=Redactor("hunter2"), url=url)
        response.receive_data(body)
        return response.describe(quoted=quoted)

    @pytest.mark.parametrize(
        ("kind", "body", "message"),
        [
            (b"text/html; charset=utf-8", b"<html>", " and text/html ('<html>')"),
            (b"Text/HTML", b"x" * 1000, f" and Text/HTML ('{'x' * 80}'…)"),
            (None, b"x", " and no content type ('x')"),
            (b"text/hunter2", b"hunter2", " and text/*** ('***')"),
            (b"application/json", b"{", " and application/json"),
            (b"application/problem+json; x=y", b"{}", " and application/problem+json"),
            (b"text/html", b"", " and no body"),
        ],
    )
    def test_what_is_not_json_is_quoted(self, kind: bytes | None, body: bytes, message: str) -> None:
        assert self.described(kind, body) == f"http://h/a answered with status 502{message}"

    def test_what_may_be_a_secret_is_not_quoted(self) -> None:
        description = self.described(b"text/plain", b"4711", quoted=False)
        assert description == "http://h/a answered with status 502 and text/plain"

    def test_json_that_cannot_be_a_secret_is_quoted(self) -> None:
        description = self.described(b"application/json", b"{}", quoted=True)
        assert description == "http://h/a answered with status 502 and application/json ('{}')"

    def test_the_url_is_redacted_and_may_be_unknown(self) -> None:
        assert self.described(None, b"", "http://h/hunter2") == "http://h/*** answered with status 502 and no body"
        assert self.described(None, b"", "") == "the server answered with status 502 and no body"


class TestStream:
    @pytest.mark.parametrize(
        "content_type",
        [
            b"text/event-stream",
            b"TEXT/Event-Stream",
            b"text/event-stream; charset=windows-1252",
            b"text/event-stream;x",
        ],
        ids=bytes.decode,
    )
    def test_it_is_read_as_utf8_whatever_the_charset_says(self, content_type: bytes) -> None:
        response = streaming(content_type=content_type)
        assert response.stream is not None
        response.receive_data('data: {"type":"start","data":{"text":"é"}}\n'.encode())
        assert next(response.stream.events()).data == {"text": "é"}
        assert response.body == b""

    @pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"identity"])
    def test_compressed_and_cut(self, cuts, coding: bytes) -> None:
        packed = {b"gzip": gzip.compress, b"deflate": zlib.compress, b"identity": bytes}[coding](STREAM)
        for pieces in cuts(packed):
            response = feed(streaming((b"content-encoding", coding)), pieces)
            assert response.stream is not None
            assert [event.type for event in response.stream.events()] == TYPES
            assert response.stream.finished

    def test_a_flushed_event_comes_before_the_rest_of_the_compressed_stream(self) -> None:
        packer, response = zlib.compressobj(wbits=31), streaming((b"content-encoding", b"gzip"))
        assert response.stream is not None
        response.receive_data(packer.compress(STREAM[:24]) + packer.flush(zlib.Z_SYNC_FLUSH))
        assert [event.type for event in response.stream.events()] == ["start"]

    @pytest.mark.parametrize(
        "after",
        [[b"\xff" * 50], [b"\xff" * 50, b"\xff" * 50], [b"\xff" * 50, b""], [b"\xff" * 50, b"x", b""]],
        ids=["once", "twice", "then the end", "and more"],
    )
    def test_damage_is_raised_by_the_stream_after_its_whole_events(self, after: list[bytes]) -> None:
        packer, response = zlib.compressobj(wbits=31), streaming((b"content-encoding", b"gzip"))
        assert response.stream is not None
        response.receive_data(packer.compress(STREAM[:24]) + packer.flush(zlib.Z_FULL_FLUSH))
        for piece in after:
            response.receive_data(piece)
        events = response.stream.events()
        assert next(events).type == "start"
        with pytest.raises(RemoteProtocolError, match="damaged"):
            next(events)

    def test_an_unknown_coding_is_raised_by_the_stream(self) -> None:
        response = streaming((b"content-encoding", b"br"))
        response.receive_data(STREAM)
        assert response.stream is not None
        with pytest.raises(RemoteProtocolError, match="'br', which was not requested"):
            next(response.stream.events())

    def test_a_lost_connection_interrupts_the_stream(self) -> None:
        response = streaming()
        assert response.stream is not None
        response.receive_data(STREAM[:24])
        response.connection_lost(ConnectionLost("reset"))
        events = response.stream.events()
        assert next(events).type == "start"
        with pytest.raises(StreamInterrupted):
            next(events)


class TestDeadline:
    def test_a_body_in_time(self, clock) -> None:
        response = Response(200, [], deadline=Deadline(clock, 5.0))
        clock.now += 4.9
        assert feed(response, [b"x"]).body == b"x"

    @pytest.mark.parametrize("piece", [b"x", b""], ids=["a piece", "the end"])
    def test_one_byte_a_second_runs_into_the_deadline(self, clock, piece: bytes) -> None:
        response = Response(200, [], deadline=Deadline(clock, 5.0))
        for _ in range(4):
            clock.now += 1
            response.receive_data(b"x")
        clock.now += 1
        with pytest.raises(TimedOut, match="took longer than its deadline of 5 s"):
            response.receive_data(piece)

    def test_a_stream_raises_it_after_its_whole_events(self, clock) -> None:
        response = streaming(deadline=Deadline(clock, 5.0))
        assert response.stream is not None
        response.receive_data(STREAM[:24])
        clock.now += 5
        response.receive_data(b": heartbeat\n")
        response.receive_data(b": heartbeat\n")
        events = response.stream.events()
        assert next(events).type == "start"
        with pytest.raises(TimedOut):
            next(events)


def test_the_headers_are_bounded() -> None:
    """Each counts as the line that it is on the wire."""
    assert Response(200, [(b"x-a", b"x" * (MAX_HEAD_SIZE - 7))]).headers["x-a"].startswith("xxx")
    with pytest.raises(RemoteProtocolError, match="headers are larger than 65536 bytes"):
        Response(200, [(b"x-a", b"x" * (MAX_HEAD_SIZE - 13)), (b"x-b", b"")])


class TestRetryAfter:
    """RFC 9110, section 10.2.3: seconds, or a date."""

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            (b"0", 0.0),
            (b"7", 7.0),
            (b" 007 ", 7.0),
            (b"1.5", 1.5),
            (b"2e1", 20.0),
            (b"2E+1", 20.0),
            (b"1.5E1", 15.0),
            (b"", None),
            (b"-5", None),
            (b"5e-1", None),
            (b"X7X", None),
            (b"7 s", None),
            (b".5", None),
            (b"1.", None),
            (b"1_0", None),
            (b"inf", None),
            (b"nan", None),
            (b"soon", None),
            (b"Thu, 01 Jan 1970 00:00:15 GMT", 5.0),
            (b"Thursday, 01-Jan-70 00:00:15 GMT", 5.0),
            (b"Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
            (b"Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ],
    )
    def test_values(self, value: bytes, seconds: float | None) -> None:
        assert Response(503, [(b"Retry-After", value)]).retry_after(10.0) == seconds

    def test_none_at_all(self) -> None:
        assert Response(503, []).retry_after(10.0) is None
        assert Response(503, []).retry_after() is None

    @pytest.mark.parametrize(
        ("date", "seconds"),
        [
            (b"Thu, 01 Jan 1970 00:00:10 GMT", 5.0),
            (b"Thursday, 01-Jan-70 00:00:10 GMT", 5.0),
            (b"Thu, 01 Jan 1970 00:00:20 GMT", 0.0),
            (b"today", None),
            (b"", None),
        ],
    )
    def test_without_a_clock_a_date_counts_from_the_responses_own(self, date: bytes, seconds: float | None) -> None:
        headers = [(b"Date", date), (b"Retry-After", b"Thu, 01 Jan 1970 00:00:15 GMT")]
        assert Response(503, headers).retry_after() == seconds

    def test_without_a_clock_the_century_of_one_date_is_that_of_the_other(self) -> None:
        old, new = b"Friday, 09-Oct-26 10:00:00 GMT", b"Fri, 09 Oct 2026 10:00:05 GMT"
        assert Response(429, [(b"Date", old), (b"Retry-After", new)]).retry_after() == 5.0
        assert Response(429, [(b"Date", new), (b"Retry-After", old)]).retry_after() == 0.0
        assert Response(429, [(b"Date", old), (b"Retry-After", old)]).retry_after() is None

    def test_without_a_clock_or_a_date_only_seconds_count(self) -> None:
        for date in (b"Thu, 01 Jan 1970 00:00:15 GMT", b"Thursday, 01-Jan-70 00:00:15 GMT"):
            assert Response(503, [(b"Retry-After", date)]).retry_after() is None
        assert Response(503, [(b"Retry-After", b"15")]).retry_after() == 15.0


def test_what_is_not_given_is_empty() -> None:
    assert Request("GET", "http://h", "/a", {}).body == b""
    response = Response(201, [])
    assert (response.status, response.headers, response.body, response.content_type) == (201, {}, b"", "")


def test_a_body_over_the_limit_is_refused_as_it_comes() -> None:
    response = Response(200, [], max_body_size=10)
    with pytest.raises(RemoteProtocolError, match="larger than 10 bytes"):
        response.receive_data(b"x" * 11)
    assert response.body == b""


def test_the_stream_tells_what_ended_the_connection() -> None:
    response, lost = streaming(), ConnectionLost("the cable")
    response.connection_lost(lost)
    assert response.stream is not None
    with pytest.raises(StreamInterrupted) as caught:
        list(response.stream.events())
    assert caught.value.__cause__ is lost

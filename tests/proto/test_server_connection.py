"""The server's end of a connection, against requests in whatever pieces and an h11 client that reads the answers."""

from __future__ import annotations

import json
from typing import Any

import h11
import pytest

from hestiaos_proto import (
    Call,
    Control,
    GovernanceBlock,
    HealthResponse,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    RunStream,
    ServerConnection,
    ServerError,
    StatusError,
    StreamEvent,
)
from hestiaos_proto.connection.heads import MAX_HEAD_SIZE

HEALTH = HealthResponse("ok", "1", 2)
GET = b"GET /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n"
EVENTS = [
    StreamEvent("start", {}, "t"),
    StreamEvent("token", {"text": "é"}, "t"),
    StreamEvent("final", {}, "t"),
    StreamEvent("done", {}, "t"),
]


def post(path: str = "/api/v1/run", body: bytes = b'{"input":"x"}', *lines: str, version: str = "1.1") -> bytes:
    head = [f"POST {path} HTTP/{version}", "Host: h", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def chunked(path: str, *chunks: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


STREAM = post("/api/v1/run/stream")


def serve(connection: ServerConnection, data: bytes) -> Call:
    """The one call that is whole with `data`."""
    connection.receive_data(data)
    call = next(connection.events(), None)
    assert call is not None
    return call


class Client:
    """An h11 client, which reads what the server wrote."""

    def __init__(self, method: str = "GET") -> None:
        self.h11 = h11.Connection(h11.CLIENT)
        self.h11.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
        self.h11.send(h11.EndOfMessage())

    def read(self, data: bytes, *, end: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the one response."""
        self.h11.receive_data(data)
        if end:
            self.h11.receive_data(b"")
        response, body = None, b""
        while not isinstance(event := self.h11.next_event(), h11.EndOfMessage):
            assert event not in (h11.NEED_DATA, h11.PAUSED), "the response is not whole"
            if isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
        assert response is not None
        assert self.h11.trailing_data[0] == b""
        return response.status_code, {n.decode(): v.decode() for n, v in response.headers}, body


def read_stream(body: bytes) -> list[StreamEvent]:
    stream = RunStream()
    stream.receive_data(body)
    stream.receive_data(b"")
    return list(stream.events())


class TestRequests:
    @pytest.mark.parametrize(
        ("data", "operation", "arguments"),
        [
            (GET, "health", {}),
            (b"GET http://h:1/api/v1/health?x HTTP/1.1\r\nHost: h:1\r\n\r\n", "health", {}),
            (b"DELETE /api/secrets/a%2Fb HTTP/1.1\r\nHost: h\r\n\r\n", "delete_secret", {"key": "a/b"}),
            (post("/api/chat", b'{"message":"hi"}'), "chat", {"message": "hi", "session_id": None}),
            (chunked("/api/chat", b'{"mess', b'age":"hi"}'), "chat", {"message": "hi", "session_id": None}),
            (b"GET /api/v1/health HTTP/1.0\r\n\r\n", "health", {}),
        ],
        ids=["get", "absolute form", "delete", "post", "chunked", "HTTP/1.0"],
    )
    def test_whole_and_in_every_two_pieces_and_byte_by_byte(
        self, data: bytes, operation: str, arguments: dict[str, Any]
    ) -> None:
        halves = [[data[:i], data[i:]] for i in range(1, len(data))]
        for pieces in [[data], [data[i : i + 1] for i in range(len(data))], *halves]:
            connection, calls = ServerConnection(), []
            for piece in pieces:
                connection.receive_data(piece)
                calls += connection.events()
            assert [(call.operation, call.arguments) for call in calls] == [(operation, arguments)]

    def test_headers_are_lower_case_and_repeated_ones_one_list(self) -> None:
        lines = ["Authorization: Bearer k", "IDEMPOTENCY-KEY: i", "X-A: 1", "x-a: 2", "X-B: \xe9"]
        data = GET[:-2] + "\r\n".join([*lines, "", ""]).encode("latin-1")
        call = serve(ServerConnection(), data)
        assert (call.key, call.idempotency_key) == ("k", "i")
        assert (call.headers["x-a"], call.headers["x-b"]) == ("1, 2", "é")

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            (b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", 404),
            (b"PUT /api/chat HTTP/1.1\r\nHost: h\r\n\r\n", 405),
            (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 404),
            (post("/api/chat", b"{}"), 422),
            (post("/api/chat", b"nonsense"), 422),
            (b"GET /api/secrets/%FF HTTP/1.1\r\nHost: h\r\n\r\n", 422),
            (b"GET /api/secrets/\xff HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ],
        ids=["404", "405", "options", "422", "no JSON", "not UTF-8", "raw byte"],
    )
    def test_what_is_refused_is_a_call_that_carries_its_refusal(self, data: bytes, status: int | None) -> None:
        connection = ServerConnection()
        if status is None:  # RFC 9112, section 3.2: no request target holds such a byte
            with pytest.raises(RemoteProtocolError):
                serve(connection, data)
            return
        call = serve(connection, data)
        assert call.operation == ""
        assert call.refusal is not None
        assert Client().read(connection.send(call.refusal))[0] == status
        assert not connection.must_close


class TestAnswers:
    def test_a_result(self) -> None:
        connection = ServerConnection()
        serve(connection, GET)
        status, headers, body = Client().read(connection.send(HEALTH))
        assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", HEALTH.to_wire())
        assert "date" not in headers

    def test_a_clock_dates_it(self) -> None:
        connection = ServerConnection(clock=lambda: 784111777.0)
        for data, item in ((GET, HEALTH), (STREAM, EVENTS[0])):
            serve(connection, data)
            assert b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" in connection.send(item)

    def test_an_exception(self) -> None:
        connection = ServerConnection()
        serve(connection, post())
        status, _, body = Client().read(connection.send(GovernanceBlock("t-1")))
        assert (status, json.loads(body)["trace_id"]) == (403, "t-1")

    def test_an_exception_that_is_not_ours_tells_nothing(self) -> None:
        connection = ServerConnection()
        serve(connection, post())
        status, _, body = Client().read(connection.send(ValueError("hunter2")))
        assert status == 500
        assert b"hunter2" not in body

    def test_a_result_that_cannot_be_written_can_be_followed_by_one_that_can(self) -> None:
        connection = ServerConnection()
        serve(connection, b"GET /api/system/config HTTP/1.1\r\nHost: h\r\n\r\n")
        with pytest.raises(ValueError, match="Out of range"):
            connection.send({"x": float("nan")})
        assert Client().read(connection.send(ServerError()))[0] == 500

    def test_no_governance_trace(self) -> None:
        connection = ServerConnection()
        serve(connection, b"GET /api/governance/trace/c HTTP/1.1\r\nHost: h\r\n\r\n")
        assert Client().read(connection.send(None))[0] == 404

    def test_405_says_what_is_allowed(self) -> None:
        connection = ServerConnection()
        call = serve(connection, b"POST /api/secrets/k HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        assert Client().read(connection.send(call.refusal))[1]["allow"] == "DELETE, GET"

    def test_head_is_405_without_a_body(self) -> None:
        connection = ServerConnection()
        call = serve(connection, b"HEAD /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n")
        status, headers, body = Client("HEAD").read(connection.send(call.refusal))
        assert (status, headers["allow"], body) == (405, "GET", b"")
        assert int(headers["content-length"]) > 0
        assert not connection.must_close
        assert serve(connection, GET).operation == "health"


class TestKeepAlive:
    def test_one_call_after_another(self) -> None:
        connection = ServerConnection()
        for _ in range(3):
            assert serve(connection, GET).operation == "health"
            assert Client().read(connection.send(HEALTH))[0] == 200
            assert not connection.must_close

    def test_a_pipelined_call_comes_only_after_the_answer_to_the_first(self) -> None:
        connection = ServerConnection()
        connection.receive_data(GET + post() + GET)
        assert [call.operation for call in connection.events()] == ["health"]
        assert list(connection.events()) == []
        connection.send(HEALTH)
        assert [call.operation for call in connection.events()] == ["run"]
        connection.send(NotFound())
        assert [call.operation for call in connection.events()] == ["health"]

    def test_answered_inside_the_loop_all_pipelined_calls_come(self) -> None:
        connection, operations = ServerConnection(), []
        connection.receive_data(GET + post() + STREAM + GET)
        for call in connection.events():
            operations.append(call.operation)
            for item in EVENTS if call.operation == "run_stream" else [NotFound()]:
                connection.send(item)
        assert operations == ["health", "run", "run_stream", "health"]

    @pytest.mark.parametrize(
        "data",
        [GET[:-2] + b"Connection: close\r\n\r\n", b"GET /api/v1/health HTTP/1.0\r\n\r\n"],
        ids=["Connection: close", "HTTP/1.0"],
    )
    def test_the_last_call_of_a_connection(self, data: bytes) -> None:
        connection = ServerConnection()
        connection.receive_data(data + GET)
        assert len(list(connection.events())) == 1
        assert not connection.must_close
        client = Client()
        assert client.read(connection.send(HEALTH), end=True)[0] == 200
        assert connection.must_close
        assert list(connection.events()) == []

    def test_the_client_closes(self) -> None:
        connection = ServerConnection()
        connection.receive_data(b"")
        assert list(connection.events()) == []
        assert list(connection.events()) == []
        with pytest.raises(LocalProtocolError, match="after the end of the connection"):
            connection.receive_data(GET)

    def test_a_client_that_closes_its_half_gets_its_answer(self) -> None:
        connection = ServerConnection()
        connection.receive_data(GET)
        connection.receive_data(b"")
        assert [call.operation for call in connection.events()] == ["health"]
        assert Client().read(connection.send(HEALTH))[0] == 200

    def test_a_request_that_ends_inside_its_body(self) -> None:
        connection = ServerConnection()
        connection.receive_data(post()[:-1])
        assert list(connection.events()) == []
        connection.receive_data(b"")
        with pytest.raises(RemoteProtocolError, match=r"this is no HTTP/1\.1 request"):
            list(connection.events())


class TestContinue:
    HEAD, BODY = post("/api/chat", b'{"message":"x"}', "Expect: 100-continue").split(b"\r\n\r\n")

    def test_a_client_that_waits_with_its_body(self) -> None:
        connection = ServerConnection()
        assert not connection.expects_continue
        connection.receive_data(self.HEAD + b"\r\n\r\n")
        assert list(connection.events()) == []
        assert connection.expects_continue
        assert connection.send(Control.CONTINUE).startswith(b"HTTP/1.1 100 ")
        assert not connection.expects_continue
        assert serve(connection, self.BODY).operation == "chat"

    def test_one_whose_body_is_refused_is_not_asked_for_it(self) -> None:
        connection = ServerConnection(max_body_size=5)
        call = serve(connection, self.HEAD + b"\r\n\r\n")
        assert not connection.expects_continue
        assert Client().read(connection.send(call.refusal), end=True)[0] == 413
        assert connection.must_close

    def test_one_that_does_not_wait_after_all(self) -> None:
        connection = ServerConnection()
        assert serve(connection, self.HEAD + b"\r\n\r\n" + self.BODY).operation == "chat"
        assert not connection.expects_continue

    def test_out_of_turn(self) -> None:
        with pytest.raises(LocalProtocolError, match="no request whose body"):
            ServerConnection().send(Control.CONTINUE)


class TestLimits:
    def test_a_body_at_the_limit(self) -> None:
        body = b'{"input":"x"}'
        for data in (post(body=body), chunked("/api/v1/run", body[:5], body[5:])):
            assert serve(ServerConnection(max_body_size=len(body)), data).operation == "run"

    @pytest.mark.parametrize(
        "data",
        [
            post(body=b"x" * 11),
            post(body=b"x" * 11).partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
            b"POST /api/v1/run HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
            chunked("/api/v1/run", b"x" * 11),
            chunked("/api/v1/run", *[b"x"] * 11),
        ],
        ids=["whole", "by its length, before the body", "by a huge length", "one chunk", "many chunks"],
    )
    def test_a_body_over_the_limit_is_413_and_ends_the_connection(self, data: bytes) -> None:
        for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
            connection, calls = ServerConnection(max_body_size=10), []
            for piece in pieces:
                connection.receive_data(piece)
                calls += connection.events()
            (call,) = calls
            assert call.refusal is not None
            assert call.refusal.status_code == 413
            status, headers, _ = Client().read(connection.send(call.refusal), end=True)
            assert status == 413
            if "connection" in headers:
                assert connection.must_close

    def test_what_comes_behind_the_413_is_not_read(self) -> None:
        connection = ServerConnection(max_body_size=10)
        call = serve(connection, chunked("/api/v1/run", b"x" * 20)[:-5])
        connection.send(call.refusal)
        assert connection.must_close
        connection.receive_data(b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n" + GET)
        assert list(connection.events()) == []

    def test_a_body_that_never_ends_takes_no_more_memory_than_its_limit_and_a_piece(self) -> None:
        connection = ServerConnection(max_body_size=1000)
        connection.receive_data(b"POST /api/v1/run HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        calls = []
        for _ in range(100):
            connection.receive_data(b"64\r\n" + b"x" * 100 + b"\r\n")
            calls += connection.events()
        assert len(calls) == 1
        assert len(connection._body) <= 1100

    @staticmethod
    def head(size: int) -> bytes:
        start = b"GET /api/v1/health HTTP/1.1\r\nHost: h\r\nX: "
        return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"

    @pytest.mark.parametrize(
        "step", [MAX_HEAD_SIZE * 4, 1000, 65536, 65537], ids=["whole", "1,000", "65,536", "65,537"]
    )
    @pytest.mark.parametrize("size", [MAX_HEAD_SIZE, MAX_HEAD_SIZE + 1, MAX_HEAD_SIZE + 2, 2 * MAX_HEAD_SIZE])
    def test_a_head_over_64_kib_is_431_however_it_is_cut(self, size: int, step: int) -> None:
        data, connection = self.head(size), ServerConnection()
        assert len(data) == size
        try:
            for i in range(0, size, step):
                connection.receive_data(data[i : i + step])
                call = next(connection.events(), None)
        except RemoteProtocolError as error:
            answer = connection.send(error)
        else:
            assert call is not None
            answer = connection.send(call.refusal or HEALTH)
        assert Client().read(answer, end=True)[0] == (200 if size <= MAX_HEAD_SIZE else 431)
        assert connection.must_close == (size > MAX_HEAD_SIZE)


class TestNoHttp:
    @pytest.mark.parametrize(
        "data",
        [
            b"garbage\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ],
        ids=[
            "garbage",
            "TLS",
            "HTTP/0.9",
            "no host",
            "no colon",
            "space before the colon",
            "two hosts",
            "two lengths",
            "negative length",
            "a length of 5,000 digits",
            "another transfer coding",
            "chunk size",
        ],
    )
    def test_it_is_an_error_that_can_be_answered_once_and_stays(self, data: bytes) -> None:
        connection = ServerConnection()
        connection.receive_data(data)
        with pytest.raises(RemoteProtocolError, match=r"this is no HTTP/1\.1 request") as caught:
            list(connection.events())
        with pytest.raises(RemoteProtocolError) as again:
            list(connection.events())
        assert again.value is caught.value
        status, headers, body = Client().read(connection.send(caught.value), end=True)
        assert status in (400, 501)
        assert headers["connection"] == "close"
        assert json.loads(body)["code"] == "BAD_REQUEST"
        assert connection.must_close
        with pytest.raises(LocalProtocolError):
            connection.send(caught.value)

    def test_calls_before_it_are_answered_first(self) -> None:
        connection = ServerConnection()
        connection.receive_data(GET + b"garbage\r\n\r\n")
        events = connection.events()
        assert next(events).operation == "health"
        assert Client().read(connection.send(HEALTH))[0] == 200
        with pytest.raises(RemoteProtocolError):
            next(events)


class TestOutOfTurn:
    @pytest.mark.parametrize(
        "item", [HEALTH, NotFound(), EVENTS[0], Control.HEARTBEAT, None], ids=lambda i: type(i).__name__
    )
    def test_sending_without_a_call(self, item: object) -> None:
        connection = ServerConnection()
        with pytest.raises(LocalProtocolError, match="there is no call to answer"):
            connection.send(item)
        serve(connection, GET)
        connection.send(HEALTH)
        with pytest.raises(LocalProtocolError, match="there is no call to answer"):
            connection.send(item)

    def test_a_result_inside_a_stream(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        connection.send(EVENTS[0])
        with pytest.raises(LocalProtocolError):
            connection.send(None)

    def test_an_event_after_done(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        for event in EVENTS:
            connection.send(event)
        with pytest.raises(LocalProtocolError, match="there is no call to answer"):
            connection.send(EVENTS[1])


class TestStream:
    def test_events_up_to_done(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = b"".join([connection.send(item) for item in [EVENTS[0], Control.HEARTBEAT, *EVENTS[1:]]])
        status, headers, body = Client().read(out)
        assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/event-stream", "no-store")
        assert headers["transfer-encoding"] == "chunked"
        assert b": heartbeat\n\n" in body
        assert read_stream(body) == EVENTS
        assert not connection.must_close
        assert serve(connection, GET).operation == "health"

    def test_to_an_http_1_0_client_the_end_of_the_connection_is_the_end_of_the_stream(self) -> None:
        connection = ServerConnection()
        serve(connection, post("/api/v1/run/stream", version="1.0"))
        out = b"".join(map(connection.send, EVENTS))
        _, headers, body = Client().read(out, end=True)
        assert "transfer-encoding" not in headers
        assert read_stream(body) == EVENTS
        assert connection.must_close

    def test_a_heartbeat_may_come_first(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = connection.send(Control.HEARTBEAT) + b"".join(map(connection.send, EVENTS))
        assert read_stream(Client().read(out)[2]) == EVENTS

    @pytest.mark.parametrize(
        ("sent", "types"),
        [
            ([Control.HEARTBEAT], ["start", "error", "done"]),
            (EVENTS[:1], ["start", "error", "done"]),
            (EVENTS[:2], ["start", "token", "error", "done"]),
            (EVENTS[:3], ["start", "token", "final", "done"]),
        ],
        ids=["behind a heartbeat", "start", "token", "final"],
    )
    @pytest.mark.parametrize("error", [GovernanceBlock("t"), ValueError("hunter2")], ids=repr)
    def test_an_exception_in_the_middle_ends_it_in_the_frozen_order(
        self, sent, types: list[str], error: Exception
    ) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = b"".join(map(connection.send, [*sent, error]))
        _, _, body = Client().read(out)
        assert [event.type for event in read_stream(body)] == types
        assert b"hunter2" not in body
        assert serve(connection, GET).operation == "health"

    def test_an_exception_before_the_stream_is_a_status(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        assert Client().read(connection.send(GovernanceBlock("t")))[0] == 403

    def test_the_next_stream_knows_nothing_of_the_last(self) -> None:
        connection = ServerConnection()
        for _ in range(2):
            serve(connection, STREAM)
            out = connection.send(EVENTS[0]) + connection.send(StatusError("x"))
            assert [event.type for event in read_stream(Client().read(out)[2])] == ["start", "error", "done"]


class TestKindsOfAnswers:
    """A call is answered in its own kind, and what is refused leaves it to be answered."""

    @pytest.mark.parametrize("item", [Control.HEARTBEAT, StreamEvent("start")], ids=["heartbeat", "event"])
    def test_a_stream_is_no_answer_to_a_call_for_one_result(self, item: object) -> None:
        connection = ServerConnection()
        serve(connection, post("/api/chat", b'{"message":"hi"}'))
        with pytest.raises(LocalProtocolError, match="chat is answered with one result, not with a stream"):
            connection.send(item)
        assert Client("POST").read(connection.send(NotFound("gone")))[0] == 404

    def test_a_result_is_no_answer_to_a_call_for_a_stream(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        with pytest.raises(LocalProtocolError, match="run_stream is answered with StreamEvents up to 'done'"):
            connection.send({"result": "x"})
        assert connection.send(StreamEvent("start")).startswith(b"HTTP/1.1 200 ")

    def test_a_call_that_cannot_be_carried_out_has_no_result(self) -> None:
        connection = ServerConnection()
        call = serve(connection, b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        with pytest.raises(LocalProtocolError, match="cannot be carried out: send its refusal"):
            connection.send({})
        assert call.refusal is not None
        assert connection.send(call.refusal).startswith(b"HTTP/1.1 404 ")

    def test_an_exception_behind_an_unknown_type_begins_the_stream_before_it_ends_it(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = connection.send(StreamEvent("ping")) + connection.send(NotFound("gone"))  # type: ignore[arg-type]  # not known
        places = [out.index(f'"type":"{kind}"'.encode()) for kind in ("ping", "start", "error", "done")]
        assert places == sorted(places)


def test_what_comes_ahead_of_an_answer_is_bounded() -> None:
    connection = ServerConnection(max_body_size=100)
    serve(connection, post())
    connection.receive_data(b"x" * (MAX_HEAD_SIZE + 100))
    with pytest.raises(RemoteProtocolError, match="sends on and on without waiting for its answer"):
        connection.receive_data(b"x")


@pytest.mark.parametrize(
    ("connection", "data", "told"),
    [
        (ServerConnection(max_body_size=5), post(body=b'{"a":1}'), "the body is larger than 5 bytes"),
        (
            ServerConnection(),
            b"GET /" + b"x" * MAX_HEAD_SIZE + b" HTTP/1.1\r\nHost: h\r\n\r\n",
            f"the line and headers are larger than {MAX_HEAD_SIZE} bytes",
        ),
    ],
    ids=["body", "head"],
)
def test_a_refusal_for_the_size_is_a_call_with_headers_and_nothing_else(
    connection: ServerConnection, data: bytes, told: str
) -> None:
    call = serve(connection, data)
    assert (call.operation, call.arguments, call.headers["host"]) == ("", {}, "h")
    assert call.refusal is not None
    assert call.refusal.message == told


def test_without_a_body_even_the_smallest_limit_holds() -> None:
    assert serve(ServerConnection(max_body_size=0), GET).operation == "health"


def test_a_stream_that_has_begun_says_what_it_failed_of() -> None:
    connection = ServerConnection()
    serve(connection, STREAM)
    out = connection.send(EVENTS[0]) + connection.send(NotFound("gone", "t-1"))
    failed = read_stream(Client().read(out)[2])[-2]
    assert (failed.type, failed.data["code"], failed.data["message"]) == ("error", "NOT_FOUND", "gone")


def test_there_is_nothing_to_continue_in_a_stream_that_has_begun() -> None:
    connection = ServerConnection()
    serve(connection, STREAM)
    connection.send(EVENTS[0])
    with pytest.raises(LocalProtocolError, match="there is no request whose body could be continued"):
        connection.send(Control.CONTINUE)


def test_the_last_answer_says_that_it_is_as_the_standard_spells_it() -> None:
    connection = ServerConnection(max_body_size=5)
    call = serve(connection, post(body=b'{"a":1}')[:-1])
    assert b"\r\nConnection: close\r\n" in connection.send(call.refusal)


def test_what_comes_ahead_is_counted_anew_for_each_call() -> None:
    connection, limit = ServerConnection(max_body_size=1000), MAX_HEAD_SIZE + 1000
    for _ in range(3):
        serve(connection, GET)
        connection.receive_data(GET)
        assert b" 200 " in connection.send(HEALTH)
        assert next(connection.events()).operation == "health"
        assert b" 200 " in connection.send(HEALTH)
    serve(connection, GET)
    connection.receive_data(b"x" * limit)
    with pytest.raises(RemoteProtocolError, match="on and on without waiting"):
        connection.receive_data(b"x")

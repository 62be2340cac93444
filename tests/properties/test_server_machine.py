"""`ServerConnection` as a state machine: each request gets its own answer, in its turn, whatever is pipelined or cut.

The judge is an h11 client that reads every byte that was written. The model is the queue of the requests.
"""

from __future__ import annotations

import json
from collections import deque

import h11
import pytest
from attrs import frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hestiaos_proto import (
    ChatResponse,
    ConnectionState,
    Control,
    GovernanceBlock,
    HealthResponse,
    LocalProtocolError,
    RemoteProtocolError,
    RunStream,
    ServerConnection,
    ServerRequest,
    StreamEvent,
)

EXPECT = "Expect: 100-continue"


@frozen
class Request:
    """What a client writes, and what a server is to see of it."""

    wire: bytes
    operation: str = ""  # "" is a call that is to be refused
    fault: bool = False  # it is not HTTP/1.1
    status: int = 400  # of the response to such a fault
    last: bool = False  # the client wants no more of this connection
    method: str = "GET"


def post(path: str, body: bytes, *lines: str, operation: str = "", last: bool = False) -> Request:
    head = [f"POST {path} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *lines, "", ""]
    return Request("\r\n".join(head).encode() + body, operation, last=last, method="POST")


HEALTH = Request(b"GET /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n", "health")
RUN = post("/api/v1/run/stream", b'{"input":"x"}', operation="run_stream")
CHUNKED = Request(
    b"POST /api/chat HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'6\r\n{"mess\r\na\r\nage":"hi"}\r\n0\r\n\r\n',
    "chat",
    method="POST",
)
REQUESTS = st.sampled_from(
    [
        HEALTH,
        RUN,
        CHUNKED,
        post("/api/chat", b'{"message":"hi"}', EXPECT, operation="chat"),
        post("/api/chat", b'{"message":1}'),
        post("/nowhere", b""),
        Request(b"HEAD /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n", "health", method="HEAD"),
        Request(b"HEAD /api/chat HTTP/1.1\r\nHost: h\r\n\r\n", method="HEAD"),
        Request(b"\r\nGET http://h/health HTTP/1.1\r\nHost: other\r\n\r\n", "health"),
    ]
)
LAST = st.sampled_from(
    [
        Request(HEALTH.wire[:-2] + b"Connection: close\r\n\r\n", "health", last=True),
        post("/api/v1/run/stream", b'{"input":"x"}', "Connection: close", operation="run_stream", last=True),
        Request(b"GET /api/v1/health HTTP/1.0\r\n\r\n", "health", last=True),
        Request(b"garbage\r\n\r\n", fault=True),
        Request(b"GET / HTTP/1.1\r\n\r\n", fault=True),
        Request(
            b"POST /api/chat HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", fault=True, status=501
        ),
        Request(b"GET / HTTP/2.0\r\n\r\n", fault=True, status=505),
    ]
)
RESULTS = {"health": HealthResponse("ok", "1", 2), "chat": ChatResponse("r", "s")}
MIDDLE = st.sampled_from(["token", "delta", "tool_call"])


class ServerMachine(RuleBasedStateMachine):
    @initialize(server_timeout=st.integers(0, 8), first=st.lists(st.just(RUN) | REQUESTS, max_size=3))
    def begin(self, server_timeout: int, first: list[Request]) -> None:
        self.server_timeout = server_timeout  # so many requests come before one that is the connection's last
        self.connection = ServerConnection()
        self.coming: deque[tuple[int, Request]] = deque()  # by the place in what is written where it is whole
        self.unsent = b""
        self.received = 0
        self.written = 0
        self.ended = False
        self.no_more = False  # the client wrote its last request
        self.call: ServerRequest | None = None
        self.request: Request | None = None
        self.fault: RemoteProtocolError | None = None
        self.rejected = False
        self.order: list[str] = []  # of the stream that is under way
        self.beaten = False
        self.closing = False
        self.answered = False
        self._next_judge()
        for request in first:
            self.a_request_is_written(request)
            self.all_of_it_arrives()
            self.calls_are_read()

    # What a client does.

    @precondition(lambda self: not self.ended and not self.no_more)
    @rule(request=REQUESTS)
    def a_request_is_written(self, request: Request) -> None:
        self.server_timeout -= 1
        self._write(request)

    @precondition(lambda self: self.server_timeout < 0 and not self.ended and not self.no_more)
    @rule(request=LAST)
    def the_last_request_is_written(self, request: Request) -> None:
        self.no_more = True
        self._write(request)

    def _write(self, request: Request) -> None:
        self.unsent += request.wire
        self.written += len(request.wire)
        self.coming.append((self.written, request))

    @precondition(lambda self: self.unsent and not self.ended)
    @rule(size=st.integers(1, 150))
    def a_piece_arrives(self, size: int) -> None:
        piece, self.unsent = self.unsent[:size], self.unsent[size:]
        self.connection.receive_data(piece)
        self.received += len(piece)

    @precondition(lambda self: self.unsent and not self.ended)
    @rule()
    def all_of_it_arrives(self) -> None:
        self.a_piece_arrives(len(self.unsent))

    @precondition(lambda self: self.server_timeout < 0 and not self.ended)
    @rule()
    def the_client_ends_what_it_sends(self) -> None:
        self.connection.receive_data(b"")
        self.ended = True

    @precondition(lambda self: self.ended)
    @rule()
    def something_is_received_after_the_end(self) -> None:
        with pytest.raises(LocalProtocolError, match="after the end of the connection"):
            self.connection.receive_data(b"x")

    # What a server does.

    @rule()
    def calls_are_read(self) -> None:
        """At most one at a time: the next comes when this one is answered."""
        if self.fault is not None:
            with pytest.raises(RemoteProtocolError) as again:
                list(self.connection.events())
            assert again.value is self.fault
            return
        due = self.coming[0] if self.coming else None
        begun = self.coming and self.received > self.coming[0][0] - len(self.coming[0][1].wire)
        if self.call is not None or self.closing:
            assert list(self.connection.events()) == []
        elif due is not None and self.received >= due[0]:
            self.request = self.coming.popleft()[1]
            if self.request.fault:
                self._expect_fault()
            else:
                (self.call,) = self.connection.events()
                assert self.call.operation == self.request.operation
                assert (self.call.refusal is not None) == (self.call.operation == "")
        elif self.ended and begun:
            self._expect_fault()
        else:
            assert list(self.connection.events()) == []
            self.closing = self.ended

    def _expect_fault(self) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            list(self.connection.events())
        self.fault = caught.value

    @property
    def streams(self) -> bool:
        return self.call is not None and self.call.operation == "run_stream"

    @property
    def begun(self) -> bool:
        return bool(self.order) or self.beaten

    @precondition(lambda self: self.call is not None and self.call.operation in RESULTS)
    @rule()
    def a_result_is_sent(self) -> None:
        assert self.call is not None
        self._judge(self.connection.send(RESULTS[self.call.operation]), 200)

    @precondition(lambda self: self.call is not None and not self.begun)
    @rule(own=st.booleans())
    def an_exception_is_sent(self, own: bool) -> None:
        assert self.call is not None
        assert self.request is not None
        refusal = self.call.refusal if own else None
        error = refusal or GovernanceBlock("t")
        self._judge(self.connection.send(error), error.status_code)

    @precondition(lambda self: self.begun)
    @rule(error=st.sampled_from([GovernanceBlock("t"), ValueError("hunter2")]))
    def an_exception_ends_the_stream(self, error: Exception) -> None:
        out = self.connection.send(error)
        assert b"hunter2" not in out
        concluded = self.order[-1:] in (["final"], ["error"])
        self.order += [] if self.order else ["start"]
        self.order += ["done"] if concluded else ["error", "done"]
        self._judge(out, 200)

    @precondition(lambda self: self.streams)
    @rule(kind=MIDDLE, conclude=st.booleans())
    def the_next_event_is_sent(self, kind: str, conclude: bool) -> None:
        if not self.order:
            kind = "start"
        elif self.order[-1] in ("final", "error"):
            kind = "done"
        elif conclude:
            kind = "final"
        out = self.connection.send(StreamEvent(kind))  # type: ignore[arg-type]  # one of the known types
        self.order.append(kind)
        if kind == "done":
            self._judge(out, 200)
        else:
            self.judge.receive_data(out)

    @precondition(lambda self: self.streams)
    @rule()
    def a_heartbeat_is_sent(self) -> None:
        self.beaten = True
        self.judge.receive_data(self.connection.send(Control.HEARTBEAT))

    @precondition(lambda self: self.connection.expects_continue and self.fault is None)
    @rule()
    def the_body_is_asked_for(self) -> None:
        self.judge.receive_data(self.connection.send(Control.CONTINUE))
        assert not self.connection.expects_continue

    @precondition(lambda self: self.fault is not None and not self.rejected)
    @rule()
    def the_fault_is_answered(self) -> None:
        assert self.fault is not None
        status = 400 if self.request is None else self.request.status  # without one, its head was cut
        self._judge(self.connection.send(self.fault), status)
        self.rejected = True

    @precondition(lambda self: self.call is None)
    @rule(item=st.sampled_from([None, *RESULTS.values(), GovernanceBlock(), StreamEvent("start"), Control.HEARTBEAT]))
    def an_answer_without_a_call_is_refused(self, item: object) -> None:
        with pytest.raises(LocalProtocolError, match="there is no request to respond to"):
            self.connection.send(item)

    @precondition(lambda self: self.call is not None and self.call.refusal is not None)
    @rule(item=st.sampled_from([None, *RESULTS.values(), StreamEvent("start"), Control.HEARTBEAT]))
    def a_refused_call_is_not_carried_out(self, item: object) -> None:
        with pytest.raises(LocalProtocolError, match="send its refusal"):
            self.connection.send(item)

    # The judge.

    def _next_judge(self) -> None:
        self.judge = h11.Connection(h11.CLIENT)

    def _judge(self, out: bytes, status: int) -> None:
        """The response is whole with `out`, is this one, and nothing comes after it."""
        method = self.request.method if self.request is not None and self.fault is None else "GET"
        self.judge.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
        self.judge.send(h11.EndOfMessage())
        self.judge.receive_data(out)
        last = self.fault is not None or (self.request is not None and self.request.last)
        if last:
            self.judge.receive_data(b"")
        head, body = None, b""
        while not isinstance(event := self.judge.next_event(), h11.EndOfMessage):
            whole = isinstance(event, h11.InformationalResponse | h11.Response | h11.Data)
            assert whole, f"the response is not whole: {event}"
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
        assert self.judge.trailing_data[0] == b""
        assert head is not None
        assert head.status_code == status
        if self.order:
            self._judge_stream(body)
        elif method != "HEAD":
            answer = json.loads(body)
            assert status != 200 or answer == RESULTS[self.request.operation].to_wire()  # type: ignore[union-attr]  # set
        assert self.connection.must_close == last
        self.closing = last
        self.answered = True
        self.call, self.order, self.beaten = None, [], False
        self._next_judge()

    def _judge_stream(self, body: bytes) -> None:
        stream = RunStream()
        stream.receive_data(body)
        stream.receive_data(b"")
        assert [event.type for event in stream.events()] == self.order

    # What holds at any time.

    @invariant()
    def it_closes_when_it_has_to_and_not_before(self) -> None:
        assert self.connection.must_close == self.closing

    @invariant()
    def it_is_in_the_state_that_the_model_is_in(self) -> None:
        state = self.connection.state
        if self.closing:
            assert state is ConnectionState.CLOSED
        elif self.fault is not None:
            assert state is ConnectionState.ERROR
        elif self.call is not None:
            assert state is (ConnectionState.STREAMING if self.begun else ConnectionState.WAITING)
        else:
            assert state in (ConnectionState.BODY, ConnectionState.DONE if self.answered else ConnectionState.IDLE)

    @invariant()
    def it_waits_for_no_continue_while_a_call_is_answered(self) -> None:
        if self.call is not None:
            assert not self.connection.expects_continue

    def teardown(self) -> None:
        """What is under way is answered, and so is all that was written, in its turn."""
        for _ in range(len(self.coming) + 1):
            if self.unsent and not self.ended:
                self.all_of_it_arrives()
            if self.begun:
                self.an_exception_ends_the_stream(ValueError("hunter2"))
            elif self.call is not None:
                self.an_exception_is_sent(own=False)
            self.calls_are_read()
            self.it_closes_when_it_has_to_and_not_before()
        if self.fault is not None and not self.rejected:
            self.the_fault_is_answered()


TestServerMachine = ServerMachine.TestCase
TestServerMachine.settings = settings(stateful_step_count=30)


def test_a_fault_after_a_head_request_is_answered() -> None:
    connection = ServerConnection()
    connection.receive_data(b"HEAD /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n")
    assert [call.operation for call in connection.events()] == ["health"]
    connection.send(RESULTS["health"])
    connection.receive_data(b"garbage\r\n\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        list(connection.events())
    assert connection.send(caught.value).startswith(b"HTTP/1.1 400 ")


def test_an_event_that_cannot_be_written_leaves_the_stream_to_begin() -> None:
    connection = ServerConnection()
    connection.receive_data(RUN.wire)
    list(connection.events())
    with pytest.raises(ValueError, match="JSON"):
        connection.send(StreamEvent("start", {"x": float("nan")}))
    assert connection.send(StreamEvent("start")).startswith(b"HTTP/1.1 200 ")


def test_an_exception_after_an_unknown_type_ends_the_stream_in_its_order() -> None:
    connection = ServerConnection()
    connection.receive_data(RUN.wire)
    list(connection.events())
    out = connection.send(StreamEvent("ping")) + connection.send(ValueError())  # type: ignore[arg-type]  # not known
    assert [kind for kind in ("ping", "start", "error", "done") if f'"type":"{kind}"'.encode() in out] == [
        "ping",
        "start",
        "error",
        "done",
    ]

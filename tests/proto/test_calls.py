"""One call's life, driven by hand: what is repeated, how often, after which wait, and until when."""

from __future__ import annotations

import gc
import pickle
import random
import traceback
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from hestiaos_proto import (
    CallContext,
    CallFlow,
    CallOptions,
    Config,
    ConnectFailed,
    ConnectionLost,
    GovernanceBlock,
    HestiaError,
    Hooks,
    InvalidInput,
    LocalProtocolError,
    NotFound,
    RateLimited,
    RemoteProtocolError,
    RequestInfo,
    Response,
    ResponseInfo,
    RunStream,
    Runtime,
    Send,
    ServerError,
    StatusError,
    TimedOut,
    Wait,
    call_flow,
    operations,
    run_flow,
    run_flow_async,
)
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._http_date import format_http_date
from hestiaos_proto.operations import Operation
from tests.support.flows import (
    EVENT_STREAM,
    HEALTH_RESULT,
    NOW,
    RUN_RESULT,
    Drive,
    Fixed,
    HookRecorder,
    Reply,
    runtime,
    status,
    stream_head,
)

T = TypeVar("T")

IDEMPOTENT = {
    "health": operations.health(),
    "trace": operations.trace("t"),
    "system_status": operations.system_status(),
    "system_config": operations.system_config(),
    "system_metrics": operations.system_metrics(),
    "get_secret": operations.get_secret("k"),
    "set_secret": operations.set_secret("k", "v"),
    "delete_secret": operations.delete_secret("k"),
    "explain": operations.explain("X"),
    "governance_status": operations.governance_status(),
    "governance_trace": operations.governance_trace("c"),
}
STARTS_WORK = {
    "run": operations.run("x"),
    "run_stream": operations.run_stream("x"),
    "chat": operations.chat("x"),
    "chat_stream": operations.chat_stream("x"),
    "run_agent": operations.run_agent("a", "t"),
}
idempotent = pytest.mark.parametrize("operation", IDEMPOTENT.values(), ids=IDEMPOTENT)
starts_work = pytest.mark.parametrize("operation", STARTS_WORK.values(), ids=STARTS_WORK)
every = pytest.mark.parametrize("operation", (IDEMPOTENT | STARTS_WORK).values(), ids=IDEMPOTENT | STARTS_WORK)


class TestWhatIsRepeated:
    @idempotent
    @pytest.mark.parametrize("code", [429, 502, 503, 504])
    def test_the_idempotent_on_these_statuses(self, operation, code: int) -> None:
        drive = Drive(operation, status(code), retries=3)
        assert len(drive.sends) == 4
        assert isinstance(drive.error, StatusError)
        assert drive.error.status_code == code

    @idempotent
    @pytest.mark.parametrize(
        "fault", [ConnectFailed("x"), ConnectionLost("x"), TimedOut("x"), TimedOut("x", request_sent=False)], ids=repr
    )
    def test_the_idempotent_on_every_fault_of_the_transport(self, operation, fault: HestiaError) -> None:
        drive = Drive(operation, fault, retries=2)
        assert len(drive.sends) == 3
        assert drive.error is fault

    @starts_work
    @pytest.mark.parametrize("reply", [status(429), status(503)], ids=["429", "503"])
    def test_what_starts_work_where_the_server_says_that_it_has_not_begun(self, operation, reply: Reply) -> None:
        assert len(Drive(operation, reply, retries=3).sends) == 4

    @starts_work
    def test_what_starts_work_where_the_server_says_when_the_first_request_is_done(self, operation) -> None:
        drive = Drive(operation, status(409, retry_after="2"), retries=3)
        assert drive.waits == [2.0, 2.0, 2.0]
        assert isinstance(drive.error, StatusError)
        assert drive.error.status_code == 409

    @idempotent
    def test_the_idempotent_is_not_repeated_on_a_conflict(self, operation) -> None:
        assert len(Drive(operation, status(409, retry_after="2"), retries=3).sends) == 1

    @starts_work
    @pytest.mark.parametrize("fault", [ConnectFailed("x"), TimedOut("x", request_sent=False)], ids=repr)
    def test_what_starts_work_where_the_server_cannot_have_begun(self, operation, fault: HestiaError) -> None:
        drive = Drive(operation, fault, retries=3)
        assert len(drive.sends) == 4
        assert drive.error is fault

    @starts_work
    @pytest.mark.parametrize("code", [500, 501, 502, 504, 408, 409, 425])
    def test_what_starts_work_is_sent_once_on_any_other_status(self, operation, code: int) -> None:
        assert len(Drive(operation, status(code), retries=3).sends) == 1

    @starts_work
    @pytest.mark.parametrize("fault", [ConnectionLost("x"), TimedOut("x")], ids=repr)
    def test_what_starts_work_is_sent_once_where_the_server_may_have_begun(self, operation, fault) -> None:
        assert len(Drive(operation, fault, retries=3).sends) == 1

    def test_500_on_run_is_a_server_error_after_exactly_one_request(self) -> None:
        drive = Drive(operations.run("x"), status(500), retries=3)
        assert len(drive.sends) == 1
        assert isinstance(drive.error, ServerError)
        assert drive.waits == []

    @every
    @pytest.mark.parametrize("code", [301, 307, 400, 401, 403, 409, 413, 418, 422, 500, 501, 505])
    def test_no_other_status_is_repeated(self, operation, code: int) -> None:
        drive = Drive(operation, status(code), retries=3)
        assert len(drive.sends) == 1
        assert isinstance(drive.error, StatusError)

    @every
    @pytest.mark.parametrize("fault", [RemoteProtocolError("x"), LocalProtocolError("x")], ids=repr)
    def test_a_protocol_error_is_not_repeated(self, operation, fault: HestiaError) -> None:
        drive = Drive(operation, fault, retries=3)
        assert len(drive.sends) == 1
        assert drive.error is fault

    def test_a_response_that_does_not_fit_is_not_repeated(self) -> None:
        drive = Drive(operations.health(), status(200, []), retries=3)
        assert len(drive.sends) == 1
        assert isinstance(drive.error, RemoteProtocolError)

    @every
    def test_retries_0_sends_once(self, operation) -> None:
        assert len(Drive(operation, ConnectFailed("x"), retries=0).sends) == 1

    @pytest.mark.parametrize(
        ("code", "error"), [(403, GovernanceBlock), (404, NotFound), (422, InvalidInput), (429, RateLimited)]
    )
    def test_the_documented_exceptions(self, code: int, error: type[StatusError]) -> None:
        assert type(Drive(operations.run("x"), status(code), retries=0).error) is error

    def test_503_twice_on_run_then_its_result(self) -> None:
        drive = Drive(operations.run("x"), status(503), status(503), status(200, RUN_RESULT), retries=3)
        assert drive.result.result == "r"
        assert len(drive.sends) == 3

    def test_refused_twice_then_accepting(self) -> None:
        fault = ConnectFailed("refused")
        drive = Drive(operations.health(), fault, fault, status(200, HEALTH_RESULT), retries=3)
        assert drive.result.status == "ok"
        assert drive.waits == [0.25, 0.5]

    def test_a_404_that_is_an_answer_is_not_a_failure(self) -> None:
        drive = Drive(operations.governance_trace("c"), status(404), retries=3)
        assert (drive.result, drive.error, len(drive.sends)) == (None, None, 1)


class TestIdempotencyKey:
    @starts_work
    def test_one_per_call_the_same_in_every_attempt(self, operation) -> None:
        keys = Drive(operation, status(503), retries=3, chance=random.Random(1)).headers("Idempotency-Key")
        assert len(keys) == 4
        assert len(set(keys)) == 1
        assert keys[0] is not None
        assert len(keys[0]) == 32
        assert set(keys[0]) <= set("0123456789abcdef")

    def test_another_one_for_each_call(self) -> None:
        chance = random.Random(1)
        keys = {Drive(operations.run("x"), status(500), chance=chance).headers("Idempotency-Key")[0] for _ in range(50)}
        assert len(keys) == 50

    @idempotent
    def test_none_on_the_idempotent(self, operation) -> None:
        assert Drive(operation, status(503), retries=1).headers("Idempotency-Key") == [None, None]

    @every
    def test_every_attempt_is_the_same_request(self, operation) -> None:
        sends = Drive(operation, status(503), retries=2).sends
        assert len(sends) == 3
        assert all(send.request == sends[0].request for send in sends)


class TestBackoff:
    LONGEST = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)

    @pytest.mark.parametrize("part", [0.0, 0.25, 0.999])
    def test_half_a_second_doubling_up_to_8_with_full_jitter(self, part: float) -> None:
        drive = Drive(operations.health(), ConnectFailed("x"), retries=7, chance=Fixed(part))
        assert drive.waits == [part * longest for longest in self.LONGEST]

    def test_each_wait_is_drawn_by_itself(self) -> None:
        drive = Drive(operations.health(), ConnectFailed("x"), retries=7, chance=random.Random(3))
        expected = random.Random(3)
        assert drive.waits == [expected.random() * longest for longest in self.LONGEST]

    def test_thousands_of_retries_do_not_overflow(self) -> None:
        drive = Drive(operations.health(), ConnectFailed("x"), retries=2000)
        assert len(drive.waits) == 2000
        assert max(drive.waits) == 4.0


class TestRetryAfter:
    def wait(self, value: str, code: int = 503) -> float:
        drive = Drive(operations.run("x"), status(code, retry_after=value), status(200, RUN_RESULT), retries=1)
        assert drive.result is not None
        return drive.waits[0]

    @pytest.mark.parametrize("code", [429, 503])
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("1", 1.0), ("0", 0.0), ("60", 60.0), ("1.5", 1.5), ("6e1", 60.0), (" 7 ", 7.0), ("007", 7.0)],
    )
    def test_seconds(self, value: str, seconds: float, code: int) -> None:
        assert self.wait(value, code) == seconds

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            (format_http_date(NOW + 30), 30.0),
            ("Sunday, 15-Jun-25 15:07:10 GMT", 30.0),
            ("Sun Jun 15 15:07:10 2025", 30.0),
            (format_http_date(NOW), 0.0),
            (format_http_date(NOW - 1000), 0.0),
        ],
        ids=["IMF-fixdate", "RFC 850", "asctime", "now", "past"],
    )
    def test_a_date(self, value: str, seconds: float) -> None:
        assert self.wait(value) == seconds

    @pytest.mark.parametrize(
        "value",
        [
            "garbage",
            "-5",
            "+5",
            "",
            "1,5",
            "1, 2",
            "5s",
            "0x5",
            "inf",
            "nan",
            "1e",
            "\xb2",
            "Sun, 99 Jun 2025 15:07:10 GMT",
        ],
    )
    def test_garbage_counts_as_absent(self, value: str) -> None:
        assert self.wait(value) == 0.25

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("61", 61.0),
            ("60.5", 60.5),
            ("1e9", 1e9),
            ("9" * 400, float("inf")),
            (format_http_date(NOW + 61), 61.0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799.0 - NOW),
        ],
        ids=["61", "60.5", "1e9", "400 digits", "date", "year 9999"],
    )
    @pytest.mark.parametrize("operation", [operations.health(), operations.run("x")], ids=["health", "run"])
    def test_over_60_s_is_raised_at_once_with_its_wait(self, operation, value: str, seconds: float) -> None:
        drive = Drive(operation, status(503, retry_after=value), retries=3)
        assert len(drive.sends) == 1
        assert drive.waits == []
        assert isinstance(drive.error, ServerError)
        assert drive.error.retry_after == seconds

    def test_it_is_kept_on_the_exception_whatever_the_status(self) -> None:
        for code in (400, 429, 500, 503):
            error = Drive(operations.run("x"), status(code, retry_after="7"), retries=0).error
            assert isinstance(error, StatusError)
            assert error.retry_after == 7.0


class TestTime:
    def test_timeout_bounds_each_step(self) -> None:
        (send,) = Drive(operations.health(), status(500), timeout=5.0).sends
        assert (send.timeout, send.read_timeout) == (5.0, 5.0)

    @pytest.mark.parametrize(
        "operation", [operations.run("x", timeout_ms=90_000), operations.run_stream("x", timeout_ms=90_000)]
    )
    def test_a_longer_timeout_ms_lengthens_each_read_and_nothing_else(self, operation) -> None:
        (send,) = Drive(operation, status(500), timeout=5.0).sends
        assert (send.timeout, send.write_timeout, send.read_timeout) == (5.0, 5.0, 90.0)

    def test_a_shorter_timeout_ms_shortens_nothing(self) -> None:
        (send,) = Drive(operations.run("x", timeout_ms=10), status(500), timeout=5.0).sends
        assert (send.timeout, send.read_timeout) == (5.0, 5.0)

    def test_the_deadline_cuts_every_timeout_and_is_one_for_all_attempts(self, clock) -> None:
        drive = Drive(
            operations.health(),
            ConnectFailed("x"),
            clock=clock,
            chance=Fixed(0.5),
            timeout=30.0,
            deadline=1.0,
            retries=9,
        )
        assert [send.timeout for send in drive.sends] == [1.0, 0.75, 0.25]
        assert [send.read_timeout for send in drive.sends] == [1.0, 0.75, 0.25]
        assert drive.waits == [0.25, 0.5]  # the next, 1 s, would end after the deadline

    def test_a_wait_that_would_end_after_the_deadline_is_not_begun_and_the_error_itself_raised(self, clock) -> None:
        drive = Drive(operations.run("x"), status(503, retry_after="10"), clock=clock, deadline=9.0, retries=3)
        assert isinstance(drive.error, ServerError)
        assert (len(drive.sends), drive.waits) == (1, [])

    def test_the_configs_deadline_counts_unless_the_calls_own_is_given(self, clock) -> None:
        (send,) = Drive(operations.health(), status(500), clock=clock, timeout=30.0).sends
        assert send.deadline.left() is None
        config = Config(deadline=7.0)
        for own, left in ((None, 7.0), (2.0, 2.0), (9.0, 9.0)):
            send = next(call_flow(operations.health(), config, runtime(clock), options={"deadline": own}))
            assert isinstance(send, Send)
            assert send.deadline.left() == left

    def test_nothing_is_sent_once_the_deadline_has_passed(self, clock) -> None:
        steps = call_flow(operations.health(), Config(), runtime(clock), options={"deadline": 1.0})
        next(steps)
        assert isinstance(steps.throw(ConnectFailed("x")), Wait)
        clock.now += 5
        with pytest.raises(TimedOut, match="took longer than its deadline of 1 s"):
            steps.send(None)

    def test_the_response_watches_the_deadline(self, clock) -> None:
        send = next(call_flow(operations.health(), Config(), runtime(clock), options={"deadline": 1.0}))
        assert isinstance(send, Send)
        response = send.response(200, [])
        response.receive_data(b"{")
        clock.now += 1
        with pytest.raises(TimedOut):
            response.receive_data(b"}")


class TestResponse:
    def send(self, operation: Operation[Any], **config: Any) -> Send:
        step = next(call_flow(operation, Config(**config), runtime()))
        assert isinstance(step, Send)
        return step

    def test_only_a_stream_that_was_asked_for_is_one(self) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        assert self.send(operations.run_stream("x")).response(200, headers).stream is not None
        assert self.send(operations.run("x")).response(200, headers).stream is None

    def test_a_streams_result_is_there_with_its_head(self) -> None:
        steps = call_flow(operations.run_stream("x"), Config(), runtime())
        send = next(steps)
        assert isinstance(send, Send)
        response = send.response(200, [(b"content-type", b"text/event-stream")])
        with pytest.raises(StopIteration) as stop:
            steps.send(response)
        assert isinstance(stop.value.value, RunStream)
        assert stop.value.value is response.stream

    def test_the_configs_limits_and_strictness_reach_it(self) -> None:
        send = self.send(operations.run_stream("x"), max_body_size=10, max_event_size=30, strict=False)
        with pytest.raises(RemoteProtocolError, match="larger than 10 bytes"):
            send.response(200, []).receive_data(b"x" * 11)
        stream = send.response(200, [(b"content-type", b"text/event-stream")]).stream
        assert stream is not None
        stream.receive_data(b'data: {"type":"done"}\n')
        assert [event.type for event in stream.events()] == ["done"]
        stream.receive_data(b"x" * 31)
        with pytest.raises(RemoteProtocolError, match="longer than 30 bytes"):
            list(stream.events())

    def test_reprs_show_no_secret(self) -> None:
        send = self.send(operations.set_secret("k", "hunter2"), api_key="hunter2", headers={"X-A": "hunter2"})
        assert "hunter2" not in repr(send)


class TestDrivers:
    """`run_flow` and `run_flow_async` do what the call says, in its order."""

    @staticmethod
    def answers() -> tuple[list[str], Any, Any]:
        """What was done; a function that refuses once and then answers; one that sleeps."""
        done: list[str] = []

        def send(send: Send) -> Response:
            done.append("send")
            body = b"" if len(done) == 1 else b'{"status":"ok","version":"1","uptime_seconds":1}'
            response = send.response(503 if len(done) == 1 else 200, [])
            response.receive_data(body)
            return response

        def sleep(seconds: float) -> None:
            done.append(f"sleep {seconds:g}")

        return done, send, sleep

    @staticmethod
    def steps() -> Any:
        return call_flow(operations.health(), Config(), runtime())

    def test_run_flow(self) -> None:
        done, send, sleep = self.answers()
        assert run_flow(self.steps(), send, sleep).version == "1"
        assert done == ["send", "sleep 0.25", "send"]

    def test_run_flow_async(self) -> None:
        done, send, sleep = self.answers()

        async def send_async(step: Send) -> Response:
            return send(step)

        async def sleep_async(seconds: float) -> None:
            sleep(seconds)

        with pytest.raises(StopIteration) as stop:
            run_flow_async(self.steps(), send_async, sleep_async).send(None)
        assert stop.value.value.version == "1"
        assert done == ["send", "sleep 0.25", "send"]


class Stopped(BaseException):
    """What an event loop throws into a task that is cancelled."""


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that never waits comes to."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


def run_either(kind: str, flow: CallFlow[T], send: Callable[[Send], Response], sleep: Callable[[float], object]) -> T:
    """Carry a call out by the runner of this kind."""

    async def send_async(step: Send) -> Response:
        return send(step)

    async def sleep_async(seconds: float) -> None:
        sleep(seconds)

    if kind == "sync":
        return run_flow(flow, send, sleep)
    return finish(run_flow_async(flow, send_async, sleep_async))


@pytest.mark.parametrize("kind", ["sync", "async"])
class TestWhatIsRaised:
    """What a runner's functions raise is thrown into the flow, which repeats or raises it."""

    @staticmethod
    def run(kind: str, operation: Operation[T], *faults: BaseException, sleeps: BaseException | None = None) -> T:
        script = list(faults)

        def send(step: Send) -> Response:
            if script:
                raise script.pop(0)
            return status(200, HEALTH_RESULT)(step)

        def sleep(seconds: float) -> None:
            if sleeps is not None:
                raise sleeps

        return run_either(kind, call_flow(operation, Config(retries=2), runtime()), send, sleep)

    def test_a_fault_of_the_transport_is_repeated(self, kind: str) -> None:
        assert self.run(kind, operations.health(), ConnectFailed("x"), TimedOut("y")).status == "ok"

    @pytest.mark.parametrize(
        "error",
        [KeyboardInterrupt(), Stopped(), GeneratorExit(), ZeroDivisionError(), RemoteProtocolError("x")],
        ids=repr,
    )
    def test_all_else_is_raised_as_it_is(self, kind: str, error: BaseException) -> None:
        with pytest.raises(type(error)) as caught:
            self.run(kind, operations.health(), error)
        assert caught.value is error
        assert (error.__cause__, error.__context__) == (None, None)

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped(), GeneratorExit(), TimedOut("x")], ids=repr)
    def test_what_a_wait_raises_ends_the_call(self, kind: str, error: BaseException) -> None:
        with pytest.raises(type(error)) as caught:
            self.run(kind, operations.health(), ConnectFailed("x"), sleeps=error)
        assert caught.value is error
        assert error.__context__ is None  # the fault before it was dealt with

    def test_a_stop_iteration_is_not_taken_for_the_result(self, kind: str) -> None:
        """PEP 479: what a generator ends with may not be raised inside it."""
        error = StopIteration("not a result")
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            self.run(kind, operations.health(), error)
        assert caught.value.__cause__ is error

    def test_the_last_fault_tells_nothing_of_those_before(self, kind: str) -> None:
        lengths: set[int] = set()
        for retries in range(3):

            def refuse(step: Send) -> Response:
                raise ConnectFailed("x")

            with pytest.raises(ConnectFailed) as caught:
                run_either(
                    kind,
                    call_flow(operations.health(), Config(retries=retries), runtime()),
                    refuse,
                    lambda seconds: None,
                )
            assert (caught.value.__cause__, caught.value.__context__) == (None, None)
            lengths.add(len(list(traceback.walk_tb(caught.value.__traceback__))))
        assert len(lengths) == 1

    def test_a_fault_is_let_go_with_its_last_user(self, kind: str) -> None:
        """Neither a frame nor a context holds it, so that nothing waits for the garbage collector."""
        faults: list[weakref.ref[BaseException]] = []
        alive: list[int] = []

        def fault() -> ConnectFailed:
            error = ConnectFailed("x")
            faults.append(weakref.ref(error))
            return error

        def send(step: Send) -> Response:
            raise fault()

        def sleep(seconds: float) -> None:
            alive.append(sum(each() is not None for each in faults))

        gc.disable()
        try:
            with suppress(ConnectFailed):
                run_either(kind, call_flow(operations.health(), Config(retries=2), runtime()), send, sleep)
            assert [each() for each in faults] == [None] * 3
        finally:
            gc.enable()
        assert alive == [0, 0]


class TestStaleConnections:
    """A kept connection that the server had closed for being idle is not a failure of the server."""

    @staticmethod
    def stale() -> ConnectionLost:
        error = ConnectionLost("closed")
        error.stale = True
        return error

    @idempotent
    def test_another_is_tried_once_at_once_and_beside_the_retries(self, operation: Operation[Any]) -> None:
        drive = Drive(operation, self.stale(), ConnectionLost("gone"), retries=0)
        assert (len(drive.sends), drive.waits, str(drive.error)) == (2, [], str(ConnectionLost("gone")))
        drive = Drive(operation, self.stale(), self.stale(), retries=0)
        assert (len(drive.sends), drive.waits) == (2, [])
        drive = Drive(operation, self.stale(), ConnectionLost("gone"), retries=1)
        assert (len(drive.sends), drive.waits) == (3, [0.25])

    @starts_work
    def test_work_may_have_begun_there_too(self, operation: Operation[Any]) -> None:
        drive = Drive(operation, self.stale(), retries=3)
        assert (len(drive.sends), drive.waits) == (1, [])


class TestOptions:
    """What is given for one call alone."""

    def test_what_is_not_given_or_none_is_the_clients(self) -> None:
        config: dict[str, Any] = {"timeout": 5.0, "retries": 1, "deadline": 7.0, "headers": {"X-A": "1"}}
        none: CallOptions = {
            "timeout": None,
            "retries": None,
            "deadline": None,
            "headers": None,
            "idempotency_key": None,
            "hooks": None,
        }
        assert none.keys() == CallOptions.__optional_keys__
        for options in (CallOptions(), none):
            drive = Drive(operations.run("x"), status(503), options=options, **config)
            assert len(drive.sends) == 2
            send = drive.sends[0]
            assert (send.timeout, send.read_timeout, send.deadline.left()) == (5.0, 5.0, 7.0)
            assert (drive.headers("X-A"), drive.headers("Idempotency-Key")) == (["1", "1"], [f"{1:032x}"] * 2)

    def test_timeout(self) -> None:
        (send,) = Drive(operations.health(), status(500), timeout=5.0, options={"timeout": 2.0}).sends
        assert (send.timeout, send.read_timeout) == (2.0, 2.0)

    def test_a_timeout_ms_that_is_longer_than_the_calls_timeout(self) -> None:
        (send,) = Drive(operations.run("x", timeout_ms=3000), status(500), options={"timeout": 2.0}).sends
        assert (send.timeout, send.read_timeout) == (2.0, 3.0)

    @pytest.mark.parametrize("retries", [0, 1, 5])
    def test_retries(self, retries: int) -> None:
        assert len(Drive(operations.health(), status(503), options={"retries": retries}).sends) == retries + 1

    @pytest.mark.parametrize(("of_client", "of_call"), [(None, 2.0), (9.0, 2.0), (1.0, 2.0)])
    def test_deadline(self, of_client: float | None, of_call: float) -> None:
        (send,) = Drive(operations.health(), status(500), deadline=of_client, options={"deadline": of_call}).sends
        assert send.deadline.left() == of_call

    def test_headers_are_added_and_replace_those_of_their_name_in_whatever_case(self) -> None:
        headers = {"X-A": "1", "X-B": "2", "ACCEPT": "a/b"}
        drive = Drive(
            operations.health(),
            status(503),
            headers=headers,
            retries=1,
            options={"headers": {"x-a": "3", "X-C": "4", "user-agent": "mine", "Accept": "c/d"}},
        )
        for send in drive.sends:
            sent = sorted((name.lower(), value) for name, value in send.request.headers.items())
            assert sent == [
                ("accept", "c/d"),
                ("accept-encoding", "gzip, deflate"),
                ("user-agent", "mine"),
                ("x-a", "3"),
                ("x-b", "2"),
                ("x-c", "4"),
            ]
        assert headers == {"X-A": "1", "X-B": "2", "ACCEPT": "a/b"}

    @every
    def test_an_idempotency_key_is_sent_with_every_attempt(self, operation: Operation[Any]) -> None:
        drive = Drive(operation, status(503), retries=2, options={"idempotency_key": "k 1"})
        assert drive.headers("Idempotency-Key") == ["k 1"] * 3

    def test_the_clients_config_is_as_it_was(self) -> None:
        context = CallContext(Config(api_key="k"), runtime())
        before = repr(context.config)
        context.begin(operations.health(), {"timeout": 1.0, "headers": {"X-A": "1"}, "retries": 0, "deadline": 1.0})
        assert (repr(context.config), context.config.headers) == (before, {})

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"timeout": 0}, ValueError, "timeout must be a number of seconds greater than 0"),
            ({"timeout": "5"}, TypeError, "timeout must be a number of seconds, not str"),
            ({"deadline": float("inf")}, ValueError, "deadline must be a number of seconds greater than 0"),
            ({"deadline": True}, TypeError, "deadline must be a number of seconds, not bool"),
            ({"retries": -1}, ValueError, "retries must be 0 or more"),
            ({"retries": 1.5}, TypeError, "retries must be a whole number, not float"),
            ({"headers": {"Authorization": "x"}}, ValueError, "is the client's own"),
            ({"headers": {"X-A": "hunter2\n"}}, ValueError, "'X-A' has a value with a character"),
            ({"headers": [("X-A", "hunter2")]}, TypeError, "headers must be a mapping of str to str, not list"),
            ({"idempotency_key": ""}, ValueError, "the idempotency key is empty"),
            ({"idempotency_key": "hunter2\n"}, ValueError, "the idempotency key is empty, or has a character"),
            ({"idempotency_key": b"hunter2"}, TypeError, "idempotency_key must be a str or None, not bytes"),
            ({"hooks": print}, TypeError, "hooks must be a Hooks or None, not builtin_function_or_method"),
            ({"bogus": None}, TypeError, r"health\(\) got an unexpected keyword argument 'bogus'"),
            ({"timeout": 1.0, "b": 1, "a": 2}, TypeError, r"health\(\) got an unexpected keyword argument 'a'"),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_said_at_the_call(self, options: Any, error: type[Exception], message: str) -> None:
        recorder = HookRecorder()
        with pytest.raises(error, match=message) as caught:
            CallContext(Config(), runtime(), (recorder.hooks,)).begin(operations.health(), options)
        assert "hunter2" not in str(caught.value)
        assert recorder.notes == []


class TestTheErrorsResponse:
    def test_a_refusals(self) -> None:
        error = Drive(operations.run("x"), status(403, x_request_id="r-1", x_a="1"), retries=0).error
        assert error is not None
        assert error.response == ResponseInfo(
            403, {"content-type": "application/json", "x-request-id": "r-1", "x-a": "1"}, "r-1"
        )

    def test_that_of_a_body_that_does_not_fit(self) -> None:
        error = Drive(operations.health(), status(200, [], x_request_id="r-1")).error
        assert isinstance(error, RemoteProtocolError)
        assert error.response is not None
        assert (error.response.status, error.response.request_id) == (200, "r-1")

    def test_that_of_a_body_that_cannot_be_read(self) -> None:
        def damaged(send: Send) -> Response:
            response = send.response(200, [(b"Content-Encoding", b"br"), (b"X-Request-Id", b"r-1")])
            response.receive_data(b"x")
            raise AssertionError("it was read")

        with pytest.raises(RemoteProtocolError, match="'br'") as caught:
            run_flow(call_flow(operations.health(), Config(), runtime()), damaged, lambda seconds: None)
        assert caught.value.response is not None
        assert caught.value.response.request_id == "r-1"

    def test_there_is_none_where_none_came(self) -> None:
        error = Drive(operations.health(), ConnectFailed("x"), retries=0).error
        assert error is not None
        assert error.response is None

    @pytest.mark.parametrize("code", [200, 400, 503])
    def test_nothing_that_it_holds_is_the_key_or_a_secret(self, code: int) -> None:
        """Nor the whole of what can be reached from `vars`, which is what a pickle has."""
        echo = {"message": "hunter2 4711", "details": ["4711", {"hunter2": "hunter2"}]}
        reply = status(code, [echo] if code == 200 else echo, x_echo="Bearer hunter2; 4711", hunter2="1")
        operation = operations.set_secret("k", "4711") if code != 200 else operations.get_secret("k")
        error = Drive(operation, reply, api_key="hunter2", retries=0).error
        assert error is not None
        assert error.response is not None
        assert error.response.headers["x-echo"] == ("Bearer ***; ***" if code != 200 else "Bearer ***; 4711")
        pickled = pickle.dumps(error)
        assert b"hunter2" not in pickled
        assert code == 200 or b"4711" not in pickled


class TestObserver:
    """The observer of a call notes each step as it is taken; test_hooks has the rest."""

    def test_a_call_with_every_kind_of_step(self, clock) -> None:
        stale, fault = ConnectionLost("closed"), ConnectFailed("refused")
        stale.stale = True
        recorder = HookRecorder()
        replies = [stale, status(503, retry_after="2"), fault, status(200, HEALTH_RESULT, x_request_id="r-1")]
        drive = Drive(operations.health(), *replies, clock=clock, hooks=(recorder.hooks,), api_key="hunter2")
        (refusal,) = [error for what, error, *_ in recorder.notes if what == "retry" and isinstance(error, StatusError)]
        requests = [RequestInfo.of(send.request, send.redactor) for send in drive.sends]
        assert recorder.notes == [
            ("request", 0, requests[0]),
            ("retry", stale, 0.0),
            ("request", 1, requests[1]),
            ("response", 503),
            ("retry", refusal, 2.0),
            ("request", 2, requests[2]),
            ("retry", fault, 0.5),
            ("request", 3, requests[3]),
            ("response", 200),
            ("end", None),
        ]
        assert requests[0].headers["Authorization"] == "Bearer ***"
        assert drive.result.status == "ok"
        assert (recorder.calls[0].operation, recorder.calls[0].seconds) == ("health", 2.5)

    def test_the_end_of_a_call_that_fails(self) -> None:
        recorder = HookRecorder()
        drive = Drive(operations.run("x"), status(500), hooks=(recorder.hooks,))
        assert drive.error is not None
        assert recorder.ends == [drive.error]

    def test_a_streams_end_is_not_the_flows_to_tell(self) -> None:
        recorder = HookRecorder()
        assert isinstance(Drive(operations.run_stream("x"), stream_head, hooks=(recorder.hooks,)).result, RunStream)
        assert recorder.names == ["request", "response"]

    def test_there_is_one_for_hooks_or_for_a_log(self) -> None:
        class Log:
            def isEnabledFor(self, level: int, /) -> bool:  # noqa: N802 - the standard library's name
                return level >= 20

            def log(self, level: int, message: str, /, *args: object) -> None:
                lines.append(message % args)

        lines: list[str] = []
        assert Drive(operations.run("x"), status(500)).observer is None
        assert Drive(operations.run("x"), status(500), hooks=(Hooks(),)).observer is not None
        assert Drive(operations.run("x"), status(500), options={"hooks": Hooks()}).observer is not None
        assert lines == []
        assert Drive(operations.run("x"), status(500, {"message": "no"}), logger=Log()).observer is not None
        assert lines == ["run: failed after 0.000 s: [HTTP_500] no"]
        assert runtime().logger is None
        assert Runtime(lambda: 0.0, lambda: 0.0, Fixed(0.5)).logger is None


class TestSendsResponse:
    """A response is read as the config says, and masked for its operation."""

    @staticmethod
    def send(operation: operations.Operation[Any], **options: Any) -> Send:
        return Send.of(operation, Config(api_key="hunter2", **options), Deadline.never())

    @pytest.mark.parametrize("strict", [True, False])
    def test_a_stream_is_as_strict_as_the_config(self, strict: bool) -> None:
        response = self.send(operations.run_stream("x"), strict=strict).response(200, EVENT_STREAM)
        response.receive_data(b'data: {"type":"final"}\n\n')
        assert response.stream is not None
        if strict:
            with pytest.raises(RemoteProtocolError, match="out of order"):
                list(response.stream.events())
        else:
            assert [event.type for event in response.stream.events()] == ["final"]

    def test_a_stream_does_not_quote_the_key(self) -> None:
        response = self.send(operations.run_stream("x")).response(200, EVENT_STREAM)
        response.receive_data(b"data: hunter2\n\n")
        assert response.stream is not None
        with pytest.raises(RemoteProtocolError, match=r"'\*\*\*'"):
            list(response.stream.events())

    def test_a_body_is_masked_too_and_no_stream(self) -> None:
        response = self.send(operations.set_secret("k", "4711")).response(200, EVENT_STREAM)
        assert response.stream is None
        assert response.redactor.text("hunter2 4711 x") == "*** *** x"

    def test_a_body_is_bounded_as_the_config_says(self) -> None:
        response = self.send(operations.health(), max_body_size=10).response(200, [])
        with pytest.raises(RemoteProtocolError, match="larger than 10 bytes"):
            response.receive_data(b"x" * 11)

    def test_an_event_is_bounded_as_the_config_says(self) -> None:
        response = self.send(operations.run_stream("x"), max_event_size=10).response(200, EVENT_STREAM)
        response.receive_data(b"data: 678901\n")
        assert response.stream is not None
        with pytest.raises(RemoteProtocolError, match="longer than 10 bytes"):
            list(response.stream.events())

    def test_its_repr_shows_no_config(self) -> None:
        text = repr(self.send(operations.health(), base_url="http://h"))
        assert "onfig" not in text
        assert "hunter2" not in text

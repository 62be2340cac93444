"""What hooks and a log are given of a call: all of it, in its order, the end once, and no secret."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from hestiaos_proto import (
    CallContext,
    CallInfo,
    CallObserver,
    Config,
    ConnectFailed,
    ConnectionLost,
    GovernanceBlock,
    HestiaError,
    Hooks,
    RateLimited,
    RemoteProtocolError,
    RequestInfo,
    Response,
    ResponseInfo,
    Send,
    ServerError,
    StreamEvent,
    TimedOut,
    Wait,
    call_flow,
    operations,
    run_flow,
)
from hestiaos_proto._deadline import Deadline
from hestiaos_proto.operations import Operation
from tests.support.flows import HEALTH_RESULT, RUN_RESULT, Drive, HookRecorder, runtime, status, stream_head

NAMES = [each.name for each in attrs.fields(Hooks)]
OK = status(200, HEALTH_RESULT)


class Stopped(BaseException):
    """What an event loop throws into a task that is cancelled."""


class Broken(Exception):
    """What a hook raises."""


def begin(hooks: Hooks, operation: Operation[Any] = operations.health(), **config: Any) -> Any:  # noqa: B008 - a value
    """The flow of a call."""
    return CallContext(Config(**config), runtime(), (hooks,)).begin(operation, {})[0]


def send_of(flow: Any) -> Send:
    step = next(flow)
    assert isinstance(step, Send)
    return step


class TestOrder:
    def test_a_call(self) -> None:
        recorder = HookRecorder()
        Drive(operations.run("x"), status(200, RUN_RESULT), hooks=(recorder.hooks,))
        assert recorder.names == ["request", "response", "end"]
        assert recorder.notes[1:] == [("response", 200), ("end", None)]

    def test_a_call_with_repeats(self) -> None:
        recorder, fault = HookRecorder(), ConnectFailed("refused")
        drive = Drive(operations.health(), fault, status(503, retry_after="2"), OK, hooks=(recorder.hooks,))
        retries = [note for note in recorder.notes if note[0] == "retry"]
        assert recorder.names == ["request", "retry", "request", "response", "retry", "request", "response", "end"]
        assert retries[0] == ("retry", fault, 0.25)
        assert (type(retries[1][1]), retries[1][2]) == (ServerError, 2.0)
        assert [note[1] for note in recorder.notes if note[0] == "request"] == [0, 1, 2]
        assert drive.waits == [0.25, 2.0]
        assert recorder.ends == [None]

    def test_a_stale_connection_is_a_retry_without_a_wait(self) -> None:
        recorder, stale = HookRecorder(), ConnectionLost("closed")
        stale.stale = True
        Drive(operations.health(), stale, OK, retries=0, hooks=(recorder.hooks,))
        assert recorder.names == ["request", "retry", "request", "response", "end"]
        assert recorder.notes[1] == ("retry", stale, 0.0)
        assert recorder.notes[2][1] == 1

    def test_a_refusal(self) -> None:
        recorder = HookRecorder()
        drive = Drive(operations.run("x"), status(403), hooks=(recorder.hooks,))
        assert isinstance(drive.error, GovernanceBlock)
        assert recorder.notes[1:] == [("response", 403), ("end", drive.error)]

    def test_a_response_that_does_not_fit(self) -> None:
        recorder = HookRecorder()
        drive = Drive(operations.health(), status(200, []), hooks=(recorder.hooks,))
        assert isinstance(drive.error, RemoteProtocolError)
        assert recorder.notes[1:] == [("response", 200), ("end", drive.error)]

    def test_a_response_whose_body_is_cut(self) -> None:
        recorder = HookRecorder()

        def cut(send: Send) -> Response:
            response = send.response(200, [])
            response.receive_data(b"{")
            response.connection_lost(ConnectionLost("reset"))
            raise AssertionError("the response is not whole")

        flow = begin(recorder.hooks, retries=1)
        with pytest.raises(ConnectionLost) as caught:
            run_flow(flow, cut, lambda seconds: None)
        assert recorder.names == ["request", "response", "retry", "request", "response", "end"]
        assert recorder.ends == [caught.value]

    def test_no_response_at_all(self) -> None:
        recorder, fault = HookRecorder(), TimedOut("x")
        Drive(operations.run("x"), fault, hooks=(recorder.hooks,))
        assert recorder.names == ["request", "end"]
        assert recorder.ends == [fault]

    def test_a_deadline_that_passes_in_a_wait(self, clock) -> None:
        recorder = HookRecorder()
        flow, _ = CallContext(Config(deadline=1.0), runtime(clock), (recorder.hooks,)).begin(operations.health(), {})
        next(flow)
        assert isinstance(flow.throw(ConnectFailed("x")), Wait)
        clock.now += 5
        with pytest.raises(TimedOut) as caught:
            flow.send(None)
        assert recorder.names == ["request", "retry", "end"]
        assert recorder.ends == [caught.value]

    def test_the_hooks_of_a_call_come_after_the_clients(self) -> None:
        notes: list[Any] = []
        Drive(
            operations.health(),
            OK,
            hooks=(HookRecorder("a ", notes).hooks,),
            options={"hooks": HookRecorder("b ", notes).hooks},
        )
        assert [what for what, *_ in notes] == [
            f"{who} {what}" for what in ("request", "response", "end") for who in "ab"
        ]

    def test_one_object_stands_for_the_call_and_another_for_the_next(self) -> None:
        recorder = HookRecorder()
        for _ in range(2):
            Drive(operations.health(), status(503), OK, hooks=(recorder.hooks,))
        first, second = set(recorder.calls[:6]), set(recorder.calls[6:])
        assert (len(first), len(second), len(first & second)) == (1, 1, 0)
        assert recorder.calls[0].operation == "health"

    def test_state_is_the_hooks_own(self) -> None:
        spans: list[str] = []

        def on_request(call: CallInfo, request: RequestInfo) -> None:
            call.state.setdefault("span", []).append(call.attempt)

        def on_call_end(call: CallInfo, error: BaseException | None) -> None:
            spans.append(call.state["span"])

        Drive(operations.health(), status(503), OK, hooks=(Hooks(on_request=on_request, on_call_end=on_call_end),))
        assert spans == [[0, 1]]

    def test_seconds_count_from_the_first_hook(self, clock) -> None:
        seconds: list[tuple[str, float]] = []
        flow, _ = CallContext(
            Config(),
            runtime(clock),
            (
                Hooks(
                    on_request=lambda call, request: seconds.append(("request", call.seconds)),
                    on_retry=lambda call, error, wait: seconds.append(("retry", call.seconds)),
                    on_call_end=lambda call, error: seconds.append(("end", call.seconds)),
                ),
            ),
        ).begin(operations.health(), {})
        clock.now += 100  # a call begins when it is first carried on
        next(flow)
        clock.now += 2
        flow.throw(ConnectFailed("x"))
        clock.now += 0.25
        send = flow.send(None)
        clock.now += 1
        with pytest.raises(StopIteration):
            flow.send(OK(send))
        assert seconds == [("request", 0.0), ("retry", 2.0), ("request", 2.25), ("end", 3.25)]


class TestEnd:
    """However a call ends, `on_call_end` is called once."""

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped(), Broken(), ConnectFailed("x")], ids=repr)
    @pytest.mark.parametrize("where", ["send", "wait"])
    def test_the_end_has_the_exception_that_is_thrown_into_the_flow(self, where: str, error: BaseException) -> None:
        recorder = HookRecorder()
        flow = begin(recorder.hooks, retries=1 if where == "wait" else 0)
        next(flow)
        if where == "wait":
            assert isinstance(flow.throw(TimedOut("x")), Wait)
        with pytest.raises(type(error)):
            flow.throw(error)
        assert recorder.ends == [error]
        assert recorder.names[-1] == "end"

    @pytest.mark.parametrize("where", ["send", "wait"])
    def test_the_end_of_a_flow_that_is_closed_or_dropped(self, where: str) -> None:
        for leave in (lambda flow: flow.close(), lambda flow: None):
            recorder = HookRecorder()
            flow = begin(recorder.hooks)
            next(flow)
            if where == "wait":
                flow.throw(TimedOut("x"))
            leave(flow)
            del flow
            assert [type(error) for error in recorder.ends] == [GeneratorExit]

    def test_no_hook_is_called_for_a_flow_that_never_ran(self) -> None:
        recorder = HookRecorder()
        begin(recorder.hooks).close()
        assert recorder.notes == []

    def test_the_end_of_a_stream_is_reported_by_its_reader(self) -> None:
        recorder = HookRecorder()
        flow = begin(recorder.hooks, operations.run_stream("x"))
        with pytest.raises(StopIteration):
            flow.send(stream_head(send_of(flow)))
        assert recorder.names == ["request", "response"]
        flow = begin(recorder.hooks, operations.run_stream("x"))
        next(flow)
        with pytest.raises(ConnectionLost):
            flow.throw(ConnectionLost("x"))
        assert recorder.names == ["request", "response", "request"]

    def test_no_hook_is_called_after_the_end(self) -> None:
        recorder = HookRecorder()
        observer = CallObserver("run_stream", (recorder.hooks,), None, lambda: 0.0)
        observer.event(StreamEvent("start"))
        observer.end(None)
        observer.event(StreamEvent("done"))
        observer.end(ConnectionLost("x"))
        assert recorder.notes == [("event", "start"), ("end", None)]

    def test_a_hook_that_ends_the_call_again(self) -> None:
        def on_call_end(call: CallInfo, error: BaseException | None) -> None:
            ends.append(error)
            observer.end(Broken())

        ends: list[BaseException | None] = []
        observer = CallObserver("run_stream", (Hooks(on_call_end=on_call_end),), None, lambda: 0.0)
        observer.end(None)
        assert ends == [None]


class TestHooksThatRaise:
    """What a hook raises is raised by the call, which ends with it."""

    @staticmethod
    def hooks(name: str, error: BaseException) -> Hooks:
        def hook(*arguments: object) -> None:
            raise error

        return Hooks(**{name: hook})

    @pytest.mark.parametrize("error", [Broken(), KeyboardInterrupt(), TimedOut("x"), RateLimited()], ids=repr)
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("on_request", ["end"]),
            ("on_response", ["request", "end"]),
            ("on_retry", ["request", "response", "end"]),
        ],
    )
    def test_the_call_is_not_repeated(self, name: str, expected: list[str], error: BaseException) -> None:
        recorder = HookRecorder()
        flow, _ = CallContext(Config(), runtime(), (self.hooks(name, error), recorder.hooks)).begin(
            operations.health(), {}
        )
        with pytest.raises(type(error)) as caught:
            run_flow(flow, status(503), lambda seconds: None)
        assert caught.value is error
        assert recorder.names == expected
        assert recorder.ends == [error]

    def test_a_good_response_is_lost_with_it(self) -> None:
        recorder, error = HookRecorder(), Broken()
        flow, _ = CallContext(Config(), runtime(), (self.hooks("on_response", error), recorder.hooks)).begin(
            operations.health(), {}
        )
        with pytest.raises(Broken):
            run_flow(flow, OK, lambda seconds: None)
        assert recorder.names == ["request", "end"]
        assert recorder.ends == [error]

    @pytest.mark.parametrize("reply", [OK, status(500)], ids=["a result", "a refusal"])
    def test_each_gets_the_end_whatever_another_raises(self, reply: Callable[[Send], Response]) -> None:
        notes: list[Any] = []
        hooks = (
            HookRecorder("a ", notes).hooks,
            self.hooks("on_call_end", Broken("first")),
            HookRecorder("b ", notes).hooks,
            self.hooks("on_call_end", Broken("second")),
            HookRecorder("c ", notes).hooks,
        )
        flow, _ = CallContext(Config(), runtime(), hooks).begin(operations.run("x"), {})
        with pytest.raises(Broken, match="second") as caught:
            run_flow(flow, reply, lambda seconds: None)
        assert repr(caught.value.__context__) == "Broken('first')"
        ends = [(what, error) for what, *_, error in notes if what.endswith("end")]
        assert [what for what, _ in ends] == ["a end", "b end", "c end"]
        assert len({id(error) for _, error in ends}) == 1


class TestWhatHooksMayBe:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("value", ["on_request", 5, Hooks(), ()], ids=lambda value: type(value).__name__)
    def test_what_cannot_be_called(self, name: str, value: Any) -> None:
        with pytest.raises(TypeError, match=f"^{name} must be a function or None, not {type(value).__name__}$"):
            Hooks(**{name: value})

    @pytest.mark.parametrize("name", NAMES)
    def test_a_coroutine_function_is_refused(self, name: str) -> None:
        async def hook(*arguments: object) -> None: ...

        class Tracer:
            async def hook(self, *arguments: object) -> None: ...

        for each in (hook, Tracer().hook):
            with pytest.raises(TypeError, match=f"^{name} must be a plain function, not a coroutine function$"):
                Hooks(**{name: each})

    @pytest.mark.parametrize("value", [print, HookRecorder, [].append, lambda *arguments: None], ids=repr)
    def test_every_other_callable(self, value: Any) -> None:
        assert all(getattr(Hooks(**{name: value}), name) is value for name in NAMES)

    @pytest.mark.parametrize("value", [print, [Hooks()], {}, 0], ids=lambda value: type(value).__name__)
    def test_a_calls_hooks_are_hooks(self, value: Any) -> None:
        with pytest.raises(TypeError, match=f"hooks must be a Hooks or None, not {type(value).__name__}"):
            CallContext(Config(), runtime()).begin(operations.health(), {"hooks": value})

    def test_each_is_named(self) -> None:
        with pytest.raises(TypeError):
            Hooks(print)


class TestWhoHears:
    """A call without an observer makes no objects for one."""

    def test_without_hooks_and_a_log_there_is_no_observer(self) -> None:
        context = CallContext(Config(), runtime())
        assert context.begin(operations.health(), {})[1] is None
        assert context.begin(operations.health(), {"hooks": None, "timeout": 1.0})[1] is None

    @pytest.mark.parametrize("name", NAMES)
    def test_each_hook_alone(self, name: str) -> None:
        observer = CallObserver("health", (Hooks(), Hooks(**{name: print})), None, lambda: 0.0)
        assert [each for each in NAMES if observer.has_hook(each)] == [name]
        notes: list[Any] = []
        drive = Drive(operations.health(), status(503), OK, hooks=(Hooks(**{name: lambda *what: notes.append(what)}),))
        assert drive.result.status == "ok"
        assert (
            len(notes)
            == {"on_request": 2, "on_response": 2, "on_retry": 1, "on_stream_event": 0, "on_call_end": 1}[name]
        )

    def test_the_hooks_among_a_flows_own_options_are_the_observers(self) -> None:
        recorder = HookRecorder()
        next(call_flow(operations.health(), Config(), runtime(), options={"hooks": recorder.hooks}))
        assert recorder.notes == []


class TestSecrets:
    """Neither the key nor a secret of the request reaches a hook, wherever the server repeats it."""

    KEY = "k/ey-4711"  # with a character that a URL escapes

    def given(self, operation: Operation[Any], reply: Callable[[Send], Response], **config: Any) -> list[Any]:
        given: list[Any] = []
        hooks = Hooks(
            on_request=lambda call, request: given.append(request),
            on_response=lambda call, response: given.append(response),
        )
        Drive(operation, reply, api_key=self.KEY, hooks=(hooks,), **config)
        return given

    def test_the_key_in_a_request(self) -> None:
        request, _ = self.given(operations.run("x"), status(200, RUN_RESULT), headers={"X-Mine": f"a {self.KEY} b"})
        assert request.headers["Authorization"] == "Bearer ***"
        assert request.headers["X-Mine"] == "a *** b"
        assert request.headers["Accept"] == "application/json"
        assert (request.method, request.url) == ("POST", "http://localhost:8000/api/v1/run")
        assert request.body_size == len(operations.run("x").body)

    @pytest.mark.parametrize("operation", [operations.trace, operations.get_secret, operations.delete_secret])
    def test_the_key_in_a_path(self, operation: Callable[[str], Operation[Any]]) -> None:
        request, _ = self.given(operation(f"a {self.KEY} b"), status(404))
        assert request.url.endswith("/a%20***%20b")

    def test_a_secret_is_in_neither_the_request_nor_the_response(self) -> None:
        operation = operations.set_secret("name", "s3cr/t")
        request, response = self.given(
            operation, status(200, None, x_echo="s3cr/t s3cr%2Ft x"), headers={"X-A": "s3cr/t"}
        )
        assert request.headers["X-A"] == "***"
        assert response.headers["x-echo"] == "*** *** x"

    def test_the_key_in_a_responses_headers(self) -> None:
        echo = {
            "x_echo": f"Bearer {self.KEY}",
            "location": "/?key=" + self.KEY.replace("/", "%2F"),
            "x_request_id": self.KEY,
        }
        _, response = self.given(operations.health(), status(401, None, **{self.KEY.replace("/", "_"): "x"}, **echo))
        assert response.headers["x-echo"] == "Bearer ***"
        assert response.headers["location"] == "/?key=***"
        assert response.request_id == "***"

    def test_the_key_as_the_name_of_a_header(self) -> None:
        response = Send.of(operations.health(), Config(api_key="hunter2"), Deadline.never()).response(
            200, [(b"hunter2", b"x")]
        )
        assert response.info.headers == {"***": "x"}

    def test_no_repr_shows_a_header_or_the_hooks_state(self) -> None:
        request = RequestInfo("GET", "http://h/a", {"X-A": "hunter2"}, 3)
        assert repr(request) == "RequestInfo(method='GET', url='http://h/a', body_size=3)"
        response = ResponseInfo(200, {"x-request-id": "r-1", "x-a": "hunter2"})
        assert repr(response) == "ResponseInfo(status=200, request_id='r-1')"
        call = CallInfo("health", state={"span": "hunter2"})
        assert repr(call) == "CallInfo(operation='health', attempt=0, seconds=0.0)"

    def test_the_arguments_of_hooks_are_frozen(self) -> None:
        for value in (RequestInfo("GET", "http://h", {}, 0), ResponseInfo(200, {}), Hooks()):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                value.method = "x"

    def test_a_response_without_a_request_id(self) -> None:
        assert ResponseInfo(200, {}).request_id is None


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, list[str]]]:
    """A logger, and the lines that it has written."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.getMessage()}")

    logger = logging.Logger("calls")
    logger.addHandler(Lines())
    return logger, lines


class TestLog:
    def test_a_call_at_debug(self, log) -> None:
        logger, lines = log
        logger.setLevel(logging.DEBUG)
        Drive(operations.health(), ConnectFailed("refused"), OK, logger=logger)
        assert lines == [
            "DEBUG health: GET http://localhost:8000/api/v1/health, attempt 1",
            "INFO health: repeated in 0.250 s, after [CONNECT_FAILED] refused",
            "DEBUG health: GET http://localhost:8000/api/v1/health, attempt 2",
            "DEBUG health: status 200 after 0.000 s",
            "DEBUG health: done after 0.000 s",
        ]

    def test_at_info_only_what_goes_wrong(self, log) -> None:
        logger, lines = log
        logger.setLevel(logging.INFO)
        Drive(operations.run("x"), status(503, retry_after="1"), status(500), logger=logger)
        message = "http://localhost:8000/api/v1/run answered with status"
        asked = " and application/json; is this a HestiaOS server?"
        assert lines == [
            f"INFO run: repeated in 1.000 s, after [HTTP_503] {message} 503{asked} (the server asks to wait 1 s)",
            f"INFO run: failed after 0.000 s: [HTTP_500] {message} 500{asked}",
        ]
        lines.clear()
        drive = Drive(operations.health(), OK, logger=logger)
        assert lines == []
        assert drive.observer is not None
        assert not drive.observer.has_hook("on_request")
        assert not drive.observer.has_hook("on_response")

    def test_above_it_there_is_no_observer(self, log) -> None:
        logger, lines = log
        logger.setLevel(logging.WARNING)
        assert Drive(operations.health(), status(500), logger=logger).observer is None
        recorder = HookRecorder()
        Drive(operations.health(), status(503), OK, logger=logger, hooks=(recorder.hooks,))
        assert lines == []
        assert recorder.names == ["request", "response", "retry", "request", "response", "end"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt("hunter2"), Stopped("hunter2"), Broken("hunter2")], ids=repr)
    def test_an_unknown_exception_is_logged_by_its_name_only(self, log, error: BaseException) -> None:
        """It may quote anything."""
        logger, lines = log
        logger.setLevel(logging.INFO)
        flow, _ = CallContext(Config(), runtime(logger=logger)).begin(operations.health(), {})
        next(flow)
        with pytest.raises(type(error)):
            flow.throw(error)
        assert lines == [f"INFO health: failed after 0.000 s: {type(error).__name__}"]

    def test_no_secret(self, log) -> None:
        logger, lines = log
        logger.setLevel(logging.DEBUG)
        body = {"message": "no hunter2 4711"}
        Drive(operations.set_secret("k", "4711"), status(503, body, x_echo="hunter2"), api_key="hunter2", logger=logger)
        Drive(operations.trace("hunter2"), status(404, body), api_key="hunter2", logger=logger)
        assert lines[1] == "DEBUG set_secret: status 503 after 0.000 s"
        assert lines[-1] == "INFO trace: failed after 0.000 s: [NOT_FOUND] no *** 4711"
        assert "hunter2" not in "".join(lines)
        assert "4711" not in "".join(line for line in lines if "set_secret" in line)

    def test_a_streams_events_are_not_logged(self, log) -> None:
        logger, lines = log
        logger.setLevel(logging.DEBUG)
        observer = CallObserver("run_stream", (), logger, lambda: 0.0)
        assert not observer.has_hook("on_stream_event")
        observer.event(StreamEvent("token", {"text": "hunter2"}))
        assert lines == []

    def test_the_end_is_logged_though_a_hook_raises(self, log) -> None:
        logger, lines = log
        logger.setLevel(logging.DEBUG)

        def on_call_end(call: CallInfo, error: BaseException | None) -> None:
            raise Broken

        flow, _ = CallContext(Config(), runtime(logger=logger), (Hooks(on_call_end=on_call_end),)).begin(
            operations.health(), {}
        )
        with pytest.raises(Broken):
            run_flow(flow, OK, lambda seconds: None)
        assert lines[-1] == "DEBUG health: done after 0.000 s"


def test_errors_that_hooks_get_are_the_ones_that_are_raised() -> None:
    """A hook may look at them as the caller does: with their response, and what the body said."""
    errors: list[HestiaError] = []
    hooks = Hooks(on_retry=lambda call, error, wait: errors.append(error))
    drive = Drive(operations.health(), status(429, {"code": "SLOW"}, x_request_id="r-1"), hooks=(hooks,), retries=1)
    (retried,) = errors
    assert (retried.code, type(retried)) == ("SLOW", type(drive.error))
    assert retried.response is not None
    assert retried.response.request_id == "r-1"

"""What may stand between a call and its binding: an interceptor, which sends, or answers itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from hestiaos_proto import (
    CallContext,
    CallFlow,
    Config,
    ConnectionLost,
    HestiaError,
    LocalResponse,
    NotFound,
    Response,
    Send,
    Wait,
    call_flow,
    operations,
)
from hestiaos_proto._steps import check_interceptor
from tests.support.flows import EVENT_STREAM, HEALTH_RESULT, runtime, status, stream_head
from tests.support.scripted_streams import Reader, SyncReader


class Passing:
    """Sends each request with a class of response of its own, and notes how each exchange ended."""

    def __init__(self) -> None:
        self.ends: list[Any] = []

    def pause(self, seconds: float) -> float:
        return seconds * 2

    def exchange(self, send: Send) -> CallFlow[Response]:
        try:
            response = yield evolve(send, new_response=OwnResponse)
        except HestiaError as error:
            self.ends.append(type(error))
            raise
        assert response is not None
        self.ends.append(type(response))
        return response


class OwnResponse(Response):
    """A class of one's own."""


def drive(flow: CallFlow[Any], *replies: Any) -> tuple[list[Send | Wait], Any]:
    """The steps of a flow whose requests get these replies, and its result."""
    steps: list[Send | Wait] = []
    left = list(replies)
    step = next(flow)
    try:
        while True:
            steps.append(step)
            if isinstance(step, Wait):
                step = flow.send(None)
            elif isinstance(left[0], HestiaError):
                step = flow.throw(left.pop(0))
            else:
                step = flow.send(left.pop(0)(step))
    except StopIteration as end:
        return steps, end.value


def test_it_sends_and_sees_the_responses_and_the_faults() -> None:
    passing = Passing()
    flow = call_flow(operations.health(), Config(), runtime(), interceptor=passing)
    steps, result = drive(flow, ConnectionLost("x"), status(503), status(200, HEALTH_RESULT))
    assert result.status == "ok"
    assert passing.ends == [ConnectionLost, OwnResponse, OwnResponse]
    assert [step.seconds for step in steps if isinstance(step, Wait)] == [0.5, 1.0], "twice what is due"


def test_a_refusal_is_raised_as_ever() -> None:
    with pytest.raises(NotFound):
        drive(call_flow(operations.trace("t"), Config(), runtime(), interceptor=Passing()), status(404))


class Answer(LocalResponse):
    """A stream in pieces, each after a second."""

    left = (b'data: {"type":"start"}\n\n', b"", b'data: {"type":"final"}\n\ndata: {"type":"done"}\n\n')

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self._left = list(self.left)

    @property
    def wait(self) -> float:
        return 1.0

    def receive_next(self) -> bool:
        data = self._left.pop(0)
        self.receive_data(data or b": nothing\n\n")
        return bool(self._left)


class Answering:
    """Sends nothing: it answers everything itself, after two seconds."""

    def pause(self, seconds: float) -> float:
        return 0.0

    def exchange(self, send: Send) -> CallFlow[Response]:
        yield Wait(2.0)
        send = evolve(send, new_response=Answer)
        if send.operation.route.streams:
            response = send.response(200, EVENT_STREAM)
            yield evolve(send, answer=response)
        else:
            response = send.response(200, [(b"content-type", b"application/json")])
            response.receive_data(json.dumps(HEALTH_RESULT).encode())
            response.receive_data(b"")
        return response


def test_a_call_that_it_answers_only_waits() -> None:
    steps, result = drive(call_flow(operations.health(), Config(), runtime(), interceptor=Answering()))
    assert (steps, result.status) == ([Wait(2.0)], "ok")


ANSWERED = CallContext(Config(), runtime(), interceptor=Answering())


def test_a_stream_that_it_answers() -> None:
    """The binding's own ways to send and to read are not used."""
    reader = SyncReader(context=ANSWERED)
    assert [event.type for event in reader] == ["start", "final", "done"]
    assert reader.response is not None
    assert reader.waits == [2.0, 1.0, 1.0, 1.0]
    assert reader.sends == []


def test_a_stream_that_it_answers_in_an_event_loop() -> None:
    reader = Reader(context=ANSWERED)

    async def read() -> list[str]:
        return [event.type async for event in reader]

    with pytest.raises(StopIteration) as end:
        next(read().__await__())
    assert end.value.value == ["start", "final", "done"]
    assert reader.waits == [2.0, 1.0, 1.0, 1.0]
    assert reader.sends == []


def test_a_stream_over_one_that_sends() -> None:
    steps, _ = drive(call_flow(operations.run_stream("x"), Config(), runtime(), interceptor=Passing()), stream_head)
    assert len(steps) == 1


@pytest.mark.parametrize("given", ["a path", Passing, object()])
def test_what_is_not_one(given: object) -> None:
    check_interceptor(None)
    check_interceptor(Passing())
    with pytest.raises(TypeError, match="cassette must be a Cassette or None, not"):
        check_interceptor(given)

"""Replays recorded exchanges: it answers a client's requests by itself, so that no binding sends anything."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from attrs import evolve

from hestiaos.cassettes._format import End, Exchange, Piece, RecordedRequest
from hestiaos.cassettes._matching import excerpt, matches, nearest
from hestiaos.cassettes._recorder import request_of
from hestiaos_proto import CallFlow, HestiaError, LocalProtocolError, LocalResponse, Response, Send, Wait

__all__ = ["Player"]


class Player:
    """Answers each request with the first of the recorded exchanges that fits and was not used. Threads may share it.

    It takes `pace` times as long as the recording did, at 0 no time. `name` is the cassette's, for messages.
    """

    def __init__(self, exchanges: Iterable[Exchange], pace: float, name: str) -> None:
        self._exchanges = list(exchanges)
        self._unused = dict(enumerate(self._exchanges))
        self._pace = pace
        self._name = name
        self.refusals: list[str] = []
        """Why requests were refused, each with what was recorded that is nearest to it."""

    @property
    def unused(self) -> list[RecordedRequest]:
        """The recorded requests that were not made so far."""
        return [each.request for each in list(self._unused.values())]

    def exchange(self, send: Send) -> CallFlow[Response]:
        """Let the recorded time pass, and return the response or raise the fault.

        Raises `LocalProtocolError`, with the code `NOT_RECORDED`, for a request that was not recorded, and if the
        client had closed the response early.
        """
        recorded = self._take(send)
        if recorded.status is None:
            yield self._wait(send, recorded.end.after)
            send.deadline.check()
            raise _fault(recorded.end)
        yield self._wait(send, recorded.after)
        send.deadline.check()
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in recorded.headers.items()]
        send = evolve(send, new_response=partial(_PlayedResponse, recorded, self._pace))
        response = send.response(recorded.status, headers)
        assert isinstance(response, _PlayedResponse), "it was made by `new_response`"
        if response.stream is not None:
            yield evolve(send, answer=response)
            return response
        more = True
        while more and not response.complete:
            yield Wait(response.wait)
            more = response.receive_next()
        return response

    def pause(self, seconds: float) -> float:
        """Return `seconds` at the pace of the replay, since the recorded calls paused before retries too."""
        return seconds * self._pace

    def _wait(self, send: Send, seconds: float) -> Wait:
        return Wait(send.deadline.bound(seconds * self._pace))

    def _take(self, send: Send) -> Exchange:
        made = request_of(send)
        for number, each in list(self._unused.items()):
            if matches(each.request, made) and self._unused.pop(number, None) is not None:  # no other thread has it
                return each
        raise self._refusal(evolve(made, path=send.redactor.text(made.path), body=send.redactor.value(made.body)))

    def _refusal(self, made: RecordedRequest) -> LocalProtocolError:
        near = nearest(made, self.unused)
        message = f"{self._name} has nothing for {excerpt(made, near)}"
        if any(matches(each.request, made) for each in self._exchanges):
            message += ", which was recorded, and has been used: each exchange is replayed once"
        elif near is not None:
            message += f"; the most similar unused one is {excerpt(near, made)}"
        else:
            message += "; all were used"
        message += ". To record it again: pytest --hestiaos-record, or Cassette(…, record=True)"
        self.refusals.append(message)
        return _not_recorded(message)


class _PlayedResponse(LocalResponse):
    """A response whose body is recorded."""

    def __init__(
        self, recorded: Exchange, pace: float, status: int, headers: Iterable[tuple[bytes, bytes]], **rest: Any
    ) -> None:
        super().__init__(status, headers, **rest)
        self._left: list[Piece | End] = [recorded.end, *reversed(recorded.pieces)]
        self._pace = pace

    @property
    def wait(self) -> float:
        return self.deadline.bound(self._left[-1].after * self._pace) if self._left else 0.0

    def receive_next(self) -> bool:
        if not self._left:
            return False
        match self._left.pop():
            case Piece(data=data):
                if data:  # an empty piece is the end
                    self.receive_data(data)
            case End(kind="complete"):
                self.receive_data(b"")
            case End() as end:
                self.connection_lost(_fault(end))
        return bool(self._left)


def _fault(end: End) -> HestiaError:
    if end.kind == "left":
        return _not_recorded("the recording ends here: its client left the response, as it closed or cancelled it")
    return end.error()


def _not_recorded(message: str) -> LocalProtocolError:
    error = LocalProtocolError(message)
    error.code = "NOT_RECORDED"
    return error

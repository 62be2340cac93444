"""Cassettes that are watched, and their text."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

from hestiaos_proto import CallFlow, Interceptor, Response, Send, Wait

__all__ = ["Watched", "recorded_pieces"]


class Watched:
    """Calls `received` with what the core is handed of each response, whatever the binding: `None` for its head."""

    def __init__(self, cassette: Interceptor, received: Callable[[bytes | None], object]) -> None:
        self._cassette = cassette
        self._received = received

    def pause(self, seconds: float) -> float:
        return self._cassette.pause(seconds)

    def exchange(self, send: Send) -> CallFlow[Response]:
        flow = self._cassette.exchange(send)
        action, value = flow.send, None
        try:
            while True:
                step: Send | Wait = action(value)
                if isinstance(step, Send):
                    step = self._watched(step)
                try:
                    action, value = flow.send, (yield step)
                except BaseException as error:
                    action, value = flow.throw, error
        except StopIteration as end:
            response: Response = end.value
            return response

    def _watched(self, send: Send) -> Send:
        if send.answer is not None:
            self._watch(send.answer)
            return send

        def new_response(*args: Any, **rest: Any) -> Response:
            return self._watch(send.new_response(*args, **rest))

        return evolve(send, new_response=new_response)

    def _watch(self, response: Response) -> Response:
        receive_data = response.receive_data

        def received(data: bytes) -> None:
            receive_data(data)
            self._received(data)

        vars(response)["receive_data"] = received
        self._received(None)
        return response


def recorded_pieces(path: Path) -> list[bytes]:
    """The pieces of all bodies in a cassette."""
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        line["data"].encode() if "data" in line else b64decode(line["base64"])
        for line in lines
        if "data" in line or "base64" in line
    ]

"""Assemble the tool calls of an answer from deltas, as existing servers send them."""

from __future__ import annotations

from typing import Any

from hestiaos_local._surrogates import encodable
from hestiaos_local.execution import ToolCall
from hestiaos_local.openai._upstream_errors import model_protocol_error
from hestiaos_proto import json

__all__ = ["MAX_ARGUMENTS", "MAX_CALLS", "ToolCallGatherer"]

MAX_CALLS = 128
"""The maximum number of tool calls of one answer."""

MAX_ARGUMENTS = 4 * 1024 * 1024
"""The maximum total length of the ids and arguments of all calls of one answer, in characters."""

_MAX_NAME = 256


class _Call:
    """A call that is being assembled."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class ToolCallGatherer:
    """Assembles tool calls from deltas.

    According to the API, each delta has the `index` of its call, and the first delta of a call has its `id` and `name`.
    Some servers omit the index or change it in later deltas, omit the id, send a new id with each delta, use index 0
    for every call, repeat the name, or send the arguments as an object or before the name. Hence:

    - A delta belongs to the call with its index, else to the one with its id.
    - It begins a new call if there is no such call, or if it has a name and its id differs from that call's, or its
      name differs after arguments were received.
    - With neither index, id nor name, or with only an unknown index, it continues the last call.
    """

    def __init__(self, id_prefix: str, *, max_arguments: int = MAX_ARGUMENTS) -> None:
        self._id_prefix = id_prefix
        self._max_arguments = max_arguments
        self._room = max_arguments
        self._calls: list[_Call] = []
        self._places: dict[int | str | None, _Call] = {}  # by index, and by id

    def receive_delta(self, delta: dict[str, Any]) -> None:
        """Receive the next delta. Raises `ServerError` if it is malformed or exceeds a limit."""
        function = delta.get("function")
        if function is None:
            function = {}
        if not isinstance(function, dict):
            raise model_protocol_error("the function of a tool call is not a JSON object")
        index = delta.get("index")
        place = index if type(index) is int else None
        call_id, name = _text(delta, "id"), _text(function, "name")
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments).decode("utf-8")
        elif arguments is not None and not isinstance(arguments, str):
            raise model_protocol_error("the arguments of a tool call are neither a text nor an object")
        self._add(self._call_of(place, call_id, name), call_id, name, arguments or "")

    def end(self) -> list[ToolCall]:
        """Return the calls in the order in which they began. A call without an id gets one made from its number.

        Raises `ServerError` if a call does not have a name.
        """
        if not all(call.name for call in self._calls):
            raise model_protocol_error("a tool call has no name")
        return [
            ToolCall(
                encodable(call.id) or f"{self._id_prefix}{number}",
                encodable(call.name),
                encodable("".join(call.arguments)) or "{}",
            )
            for number, call in enumerate(self._calls)
        ]

    def _call_of(self, index: int | None, call_id: str, name: str) -> _Call:
        place = call_id if index is None else index
        call = self._places.get(place) if place != "" else None
        if call is not None and not _is_new_call(call, call_id, name):
            return call
        if call is None and self._calls and not name and not call_id:
            return self._calls[-1]
        if len(self._calls) == MAX_CALLS:
            raise model_protocol_error(f"more than {MAX_CALLS} tools are called")
        call = _Call()
        self._calls.append(call)
        self._places |= {each: call for each in (index, call_id) if each not in (None, "")}
        return call

    def _add(self, call: _Call, call_id: str, name: str, arguments: str) -> None:
        self._room -= len(arguments)
        if not call.id:
            call.id = call_id
            self._room -= len(call_id)
        if name != call.name:
            call.name += name
            if len(call.name) > _MAX_NAME:
                raise model_protocol_error(f"the name of a tool is longer than {_MAX_NAME} characters")
        if self._room < 0:
            raise model_protocol_error(f"the tool calls are longer than {self._max_arguments} characters")
        if arguments:
            call.arguments.append(arguments)


def _is_new_call(call: _Call, call_id: str, name: str) -> bool:
    """Return whether a delta with the index or id of `call` begins another call."""
    another_id = bool(call.id and call_id and call.id != call_id)
    another_name = bool(call.name and call.name != name and call.arguments)
    return bool(name) and (another_id or another_name)


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise model_protocol_error(f"the {key} of a tool call is not a text")
    return value

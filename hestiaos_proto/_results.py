"""Reads the result of an operation from a response, and writes it to one."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from types import NoneType
from typing import Any, TypeVar

from hestiaos_proto import json
from hestiaos_proto._client_messages import IS_IT_HESTIAOS, Response
from hestiaos_proto._errors import RemoteProtocolError
from hestiaos_proto._models import Model
from hestiaos_proto._stream import RunStream

__all__ = ["ANY_OBJECT", "NOTHING", "OBJECT_OR_NONE", "SECRET", "STREAM", "list_of", "model_of"]

T = TypeVar("T")


def _json(read: Callable[[Any], T], *, quoted: bool | None = None) -> Callable[[Response], T]:
    """Return a function that decodes the body and applies `read`; `quoted` is as in `Response.describe`."""

    def read_response(response: Response) -> T:
        if not response.body:
            raise RemoteProtocolError(f"JSON was expected: {response.describe()}; {IS_IT_HESTIAOS}")
        try:
            return read(json.loads(response.body))
        except ValueError as error:
            wrong, described = f"the response's body is not JSON ({error})", response.describe(quoted=quoted)
        except RemoteProtocolError as error:
            wrong, described = error.message, response.describe(quoted=False)
        raise RemoteProtocolError(f"{wrong}: {described}; {IS_IT_HESTIAOS}")

    return read_response


def _object(body: Any) -> dict[str, Any]:
    if type(body) is not dict:
        raise RemoteProtocolError("the response's JSON must be an object")
    return body


def _secret(body: Any) -> str:
    if not isinstance(value := _object(body).get("value"), str):
        raise RemoteProtocolError("the response's field 'value' must be a string")
    return value


def _object_or_none(response: Response) -> dict[str, Any] | None:
    return None if response.status == 404 else _json(_object)(response)


def _stream(response: Response) -> RunStream:
    if response.stream is None:
        raise RemoteProtocolError(f"an event stream was expected: {response.describe(quoted=True)}; {IS_IT_HESTIAOS}")
    return response.stream


def _nothing(response: Response) -> None:
    """Ignore the body."""


# The attributes of a row, by what its result is.

ANY_OBJECT: dict[str, Any] = {"read": _json(_object)}
OBJECT_OR_NONE: dict[str, Any] = {"read": _object_or_none, "absent": True}
NOTHING: dict[str, Any] = {"result": NoneType, "read": _nothing, "write": lambda result: {}}
STREAM: dict[str, Any] = {"read": _stream, "streams": True}
SECRET: dict[str, Any] = {
    "result": str,
    "read": _json(_secret, quoted=False),
    "write": lambda value: {"value": value},
}


def model_of(model: type[Model]) -> dict[str, Any]:
    """Return the attributes of a row whose result is a model."""
    return {"result": model, "read": _json(model.from_wire), "write": methodcaller("to_wire")}


def list_of(name: str, kind: type[Model] | type[str]) -> dict[str, Any]:
    """Return the attributes of a row whose result is a list, in the JSON's field `name`."""

    def read(body: Any) -> list[Any]:
        items = _object(body).get(name)
        if not isinstance(items, list):
            raise RemoteProtocolError(f"the response's field {name!r} must be a list")
        if issubclass(kind, Model):
            return [kind.from_wire(item) for item in items]
        if not all(isinstance(item, kind) for item in items):
            raise RemoteProtocolError(f"the response's field {name!r} must be a list of strings")
        return items

    def write(items: list[Any]) -> dict[str, Any]:
        return {name: [item.to_wire() if isinstance(item, Model) else item for item in items]}

    return {"result": list, "listed": (name, kind), "read": _json(read), "write": write}

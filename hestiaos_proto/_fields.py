"""Reading decoded JSON: what is wrong with a value or a field, in words that never quote it."""

from __future__ import annotations

from types import NoneType
from typing import Any

from hestiaos_proto._errors import RemoteProtocolError

__all__ = ["object_of", "wrong_field"]

_CALLED = {
    str: "a string",
    float: "a number",
    int: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    NoneType: "null",
}


def object_of(what: str, body: Any) -> dict[str, Any]:
    """`body`, which has to be a JSON object. Raises `RemoteProtocolError` that names `what` was read."""
    if type(body) is not dict:
        raise RemoteProtocolError(f"{what}: {_CALLED[type(body)]} was received where an object belongs")
    return body


def wrong_field(
    what: str, name: str, value: object, types: tuple[type, ...], *, missing: bool = False
) -> RemoteProtocolError:
    """The error for a field of `what` that is missing, or not of the `types`; it may be a secret, and is not quoted."""
    if missing:
        return RemoteProtocolError(f"{what}: the field {name!r} is missing")
    wanted = " or ".join(dict.fromkeys(_CALLED[kind] for kind in types))
    return RemoteProtocolError(f"{what}: the field {name!r} is {_CALLED[type(value)]} where {wanted} belongs")

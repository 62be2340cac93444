"""What is wrong with a field of a JSON object, in words."""

from __future__ import annotations

from types import NoneType
from typing import Any

from hestiaos_proto.errors import RemoteProtocolError

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
    if type(body) is not dict:
        raise RemoteProtocolError(f"{what}: {_CALLED[type(body)]} was received where an object belongs")
    return body


def wrong_field(
    what: str, name: str, value: object, types: tuple[type, ...], *, missing: bool = False
) -> RemoteProtocolError:
    # The value is never quoted: it may be a secret.
    if missing:
        return RemoteProtocolError(f"{what}: the field {name!r} is missing")
    wanted = " or ".join(dict.fromkeys(_CALLED[kind] for kind in types))
    return RemoteProtocolError(f"{what}: the field {name!r} is {_CALLED[type(value)]} where {wanted} belongs")

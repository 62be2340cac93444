"""Errors of decoded JSON: what is wrong with a value or a field. They do not quote it."""

from __future__ import annotations

from types import NoneType
from typing import Any

from hestiaos_proto._errors import RemoteProtocolError

__all__ = ["object_of", "wrong_field"]

_CALLED = {
    str: "a string",
    float: "a number",
    int: "a number",
    bool: "a boolean",
    dict: "an object",
    list: "a list",
    NoneType: "null",
}


def object_of(what: str, body: Any) -> dict[str, Any]:
    """Return `body`, or raise a `RemoteProtocolError` that names `what` if it is not a JSON object."""
    if type(body) is not dict:
        raise RemoteProtocolError(f"{what} must be an object, not {_CALLED[type(body)]}")
    return body


def wrong_field(
    what: str, name: str, value: object, types: tuple[type, ...], *, missing: bool = False
) -> RemoteProtocolError:
    """Return the error for a field of `what` that is missing or has none of the `types`. Its value may be a secret."""
    if missing:
        return RemoteProtocolError(f"{what}: the field {name!r} is missing")
    wanted = " or ".join(dict.fromkeys(_CALLED[kind] for kind in types))
    return RemoteProtocolError(f"{what}: the field {name!r} must be {wanted}, not {_CALLED[type(value)]}")

"""JSON: the only module that reads or writes it (RFC 8259).

Reading is strict: UTF-8 without a byte order mark, no `NaN` or `Infinity`, no number beyond a double, at most
`MAX_DEPTH` nested arrays and objects. msgspec is used for reading if it is installed. Whatever it refuses, the
standard library judges, so that both give the same value or the same complaint.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate
from json import JSONDecodeError, JSONDecoder, JSONEncoder
from math import isfinite
from typing import Any

try:
    from msgspec import DecodeError as _FastDecodeError
    from msgspec.json import Decoder as _FastDecoder
except ImportError:  # the `speed` extra is not installed
    _read_fast: Callable[[bytes], Any] | None = None
else:
    # Older versions than the extra requires are not used: before 0.21 the errors are not `ValueError`s.
    _read_fast = _FastDecoder().decode if issubclass(_FastDecodeError, ValueError) else None

__all__ = [
    "MAX_DEPTH",
    "SHALLOW",
    "depth",
    "dumps",
    "ends_in_string",
    "is_deep",
    "loads",
    "record_reader",
    "spellings",
    "unclosed",
]

MAX_DEPTH = 128
"""How deep arrays and objects can be nested. RFC 8259, section 9, allows a parser to set this limit."""

SHALLOW = 2 * MAX_DEPTH
"""A text of at most this many bytes cannot be nested too deeply, as each bracket has to be closed."""

# One pass over any text: a string without an end extends to the end of the text, and is not tried again at each quote.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:(?P<end>")|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and -1 as signed bytes


def loads(data: bytes) -> Any:
    """Decode a JSON text. Raises `ValueError`, whose message has the position but never quotes the text."""
    if is_deep(data):
        raise ValueError(f"JSON is nested deeper than {MAX_DEPTH}")
    if _read_fast is not None:
        try:
            return _read_fast(data)
        except ValueError:  # msgspec's errors, and bytes that are not UTF-8
            pass
    return _read_plain(data)


def record_reader(*fields: tuple[str, Any] | tuple[str, Any, Any]) -> Callable[[bytes], Any] | None:
    """Return a reader of objects that have these fields, of these types, and no others: `None` without msgspec.

    A field that may be missing has its default as the third. The reader returns an object with the fields as its
    attributes, in half the time that `loads` takes, and raises `ValueError` for everything else, which `loads` then has
    to decode.
    """
    if _read_fast is None:
        return None
    from msgspec import defstruct
    from msgspec.json import Decoder

    return Decoder(defstruct("Record", fields, forbid_unknown_fields=True, gc=False)).decode


def dumps(value: Any, *, sort_keys: bool = False) -> bytes:
    """Encode `value` as compact JSON in UTF-8. With `sort_keys`, the result does not depend on the order of keys.

    Raises `ValueError` for what JSON or UTF-8 cannot represent (NaN, a lone surrogate), `TypeError` for what is not a
    JSON value; neither quotes the value, which may be a secret.
    """
    try:
        return (_encode_sorted if sort_keys else _encode)(value).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a lone surrogate (U+{ord(error.object[error.start]):04X}) cannot be sent as UTF-8") from None
    except RecursionError:
        raise ValueError("the value is nested too deeply, or contains itself") from None


def spellings(text: str) -> set[str]:
    """Return the ways in which JSON writers spell a text in a string: with the necessary escapes, or in ASCII only."""
    return {encode(text)[1:-1] for encode in (_encode, _encode_ascii)}


def is_deep(data: bytes) -> bool:
    """Return whether the text is nested deeper than `MAX_DEPTH`."""
    # A text with few brackets cannot be deep, so the depth of the others only is counted.
    return len(data) > SHALLOW and data.count(b"[") + data.count(b"{") > MAX_DEPTH and depth(data) > MAX_DEPTH


def depth(data: bytes) -> int:
    """Return the depth of the arrays and objects in a JSON text, or in the beginning of one."""
    return max(accumulate(_brackets(data)), default=0)


def unclosed(data: bytes) -> int:
    """Return the number of arrays and objects that a part of a JSON text opens and does not close."""
    opened, closed = data.count(b"{") + data.count(b"["), data.count(b"}") + data.count(b"]")
    if b'"' in data and (opened or closed):  # some may be in strings
        return sum(_brackets(data))
    return opened - closed


def ends_in_string(data: bytes) -> bool:
    """Return whether a part of a JSON text ends inside a string."""
    if b"\\" not in data:
        return data.count(b'"') % 2 == 1
    return any(string["end"] is None for string in _STRING.finditer(data))


def _brackets(data: bytes) -> memoryview:
    """Return the brackets outside strings as +1 and -1."""
    return memoryview(_STRING.sub(b"", data).translate(_STEPS, _NOT_BRACKETS)).cast("b")


def _read_plain(data: bytes) -> Any:
    try:
        text = data.decode()
        if text.startswith("{"):  # `decode` would first look for white space on both sides, which few texts have
            value, end = _decoder.raw_decode(text)
            if end == len(text):
                return value
        return _decoder.decode(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except JSONDecodeError as error:
        raise ValueError(f"{error.msg}, at line {error.lineno} column {error.colno}") from None


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError("a number is too large for a double")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_encode_sorted = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode
_encode_ascii = JSONEncoder().encode
_decoder = JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)

"""What the targets share: what the first bytes of an input choose, and how much a machine holds.

An input is three bytes that choose, then the data. The first byte holds the target's own options and, in its two
highest bits, the way; the other two bytes give the widths of the pieces in which the data comes, by turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import cycle
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Protocol

from hestiaos_proto import ConnectionLost, HestiaError, ProtocolError, StatusError

__all__ = ["KEY", "WAYS", "Way", "choose", "discreet", "expected", "held", "stays", "whole"]


class Way(Enum):
    """How the data comes, beside whole."""

    CUT = 0x00
    CUT_AGAIN = 0x40  # most of the executions are to be quick ones
    MEASURED = 0x80  # cut, and what is held is measured
    BYTE_BY_BYTE = 0xC0


WAYS = 0xC0
"""The bits of the first byte that choose the way."""

KEY = "sk-4711"
"""The API key, which no exception of a client may name."""

_WIDEST = 64


def choose(data: bytes) -> tuple[int, Way, bytes, list[bytes]]:
    """The options, the way, the data, and the data in pieces."""
    options, *widths = data[:3].ljust(3, b"\0")
    way = Way(options & WAYS)
    body = data[3:]
    return options, way, body, list(_pieces(body, [0] if way is Way.BYTE_BY_BYTE else widths))


def whole(body: bytes) -> list[bytes]:
    """The data in one piece; none would be the end."""
    return [body] if body else []


def _pieces(data: bytes, widths: list[int]) -> Iterator[bytes]:
    place = 0
    for width in cycle(widths):
        if place >= len(data):
            return
        yield data[place : (place := place + 1 + width % _WIDEST)]


def expected(error: HestiaError) -> HestiaError:
    """An exception of a kind that bytes and their end can lead to."""
    assert isinstance(error, (ProtocolError, StatusError, ConnectionLost)), repr(error)
    return error


def discreet(error: HestiaError) -> HestiaError:
    """An expected exception that does not name the key, which the other side may have repeated."""
    texts = [str(error), repr(error)]
    if isinstance(error, StatusError):
        texts += [repr(error.details), repr(error.body)]
    assert not any(KEY in text for text in texts), "the exception names the key"
    return expected(error)


class _Machine(Protocol):
    def receive_data(self, data: bytes) -> None: ...

    def events(self) -> Iterable[object]: ...


def stays(fault: ProtocolError, machine: _Machine) -> None:
    """Check that a machine that has failed raises the same again, whatever else it is given."""
    machine.receive_data(b"data: {}\n\n")
    again = None
    try:
        for _ in machine.events():
            raise AssertionError("an event came after the fault")
    except ProtocolError as error:
        again = error
    assert again is fault, "the fault did not stay"


_LEAVES = (type, BuiltinFunctionType, FunctionType, MethodType, ModuleType)


def held(machine: object) -> int:
    """How many bytes and characters can be reached from a machine's attributes."""
    size = 0
    seen: set[int] = set()
    left = [machine]
    while left:
        value = left.pop()
        if id(value) in seen or isinstance(value, _LEAVES):
            continue
        seen.add(id(value))
        if isinstance(value, (bytes, bytearray, str)):
            size += len(value)
        elif isinstance(value, dict):
            left += value
            left += value.values()
        elif isinstance(value, (list, tuple, deque)):
            size += len(value)
            left += value
        else:
            left += getattr(value, "__dict__", {}).values()
            left += [getattr(value, name, None) for name in getattr(value, "__slots__", ())]
    return size

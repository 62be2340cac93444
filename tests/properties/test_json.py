"""Properties of reading and writing JSON."""

from __future__ import annotations

import json as standard
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hestiaos_proto import StreamEvent, json
from hestiaos_proto._events import read_event

TOKENS = st.sampled_from(
    [
        *rb'{ } [ ] , : " \ \u d800 dc00 0041 true null NaN Infinity - 0 1 . e E+ 308 400 "k": "v"'.split(),
        *(b" ", b"\n", b"\t", b"\x00", b"\x1f", b"\xef\xbb\xbf", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80"),
        *(b"9" * 30, b"[" * 70, b"]" * 70),
    ]
)
TEXTS = st.lists(TOKENS, max_size=25).map(b"".join) | st.binary(max_size=60)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def read(reader: Any, data: bytes) -> tuple[str, str]:
    """The value and every type in it, or that it was refused."""
    try:
        return "value", repr(reader(data))  # repr tells 1 from 1.0 and from True
    except ValueError:
        return "refused", ""


@pytest.mark.skipif(json._read_fast is None, reason="msgspec is not installed")
@given(TEXTS | VALUES.map(lambda value: standard.dumps(value).encode()))
def test_msgspec_and_the_standard_library_read_the_same(data: bytes) -> None:
    """msgspec and the standard library give the same value of any bytes, or both refuse them."""
    assert json._read_fast is not None
    plain = read(json._read_plain, data)
    assert read(json.loads, data)[0] in (plain[0], "refused")
    fast = read(json._read_fast, data)
    if fast[0] == "value":
        assert fast == plain


@given(VALUES)
def test_what_was_written_is_read(value: Any) -> None:
    """Reading what was written gives the same value."""
    assert repr(json.loads(json.dumps(value))) == repr(value)


@given(TEXTS)
def test_a_refusal_is_a_value_error_that_quotes_nothing(data: bytes) -> None:
    """Any bytes are read or refused with `ValueError`, and the refusal quotes none of a text's strings."""
    try:
        json.loads(data + b'"4711-secret"')
    except ValueError as error:
        message = str(error)
    else:
        message = ""
    assert "4711" not in message


MEMBERS = st.dictionaries(
    st.sampled_from(["type", "data", "trace_id", "timestamp", "more"]),
    st.sampled_from(["start", "token", "new", "", None, 1]) | st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
)


@given(TEXTS | MEMBERS.map(lambda body: standard.dumps(body).encode()))
@example(b'{"type":"start"}')
@example(b'{"type":1,"type":"token","data":{"a":' + b"[" * 126 + b"]" * 126 + b"}}")
@example(b'{"type":"token","data":{"a":' + b"[" * 127 + b"]" * 127 + b"}}")
def test_the_fast_path_gives_the_event_of_the_plain_path(data: bytes) -> None:
    """Where `read_event` gives an event, it is the one that `loads` and `from_wire` give."""
    event = read_event(data)
    if event is not None:
        plain = StreamEvent.from_wire(json.loads(data))
        assert repr(event) == repr(plain)
        assert (event, event.extra, type(event)) == (plain, plain.extra, StreamEvent)

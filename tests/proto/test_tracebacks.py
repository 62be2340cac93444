"""A shortened traceback: none of the error's own, the last frame of each of its causes, however they hang together."""

from __future__ import annotations

import traceback

from hestiaos_proto import HestiaError, LocalProtocolError
from hestiaos_proto._tracebacks import shorten


def deep(error: BaseException, depth: int = 3) -> None:
    if depth:
        deep(error, depth - 1)
    raise error


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        if cause is None:
            deep(error)
        try:
            raise cause
        except type(cause):
            deep(error)
    except type(error):
        return error
    raise AssertionError


def frames(error: BaseException) -> int:
    return len(traceback.extract_tb(error.__traceback__))


def test_the_last_frame_of_each_cause_is_kept() -> None:
    first = raised(OSError("first"))
    second = raised(ValueError("second"), first)
    error = LocalProtocolError("told")
    raised(error, second)
    assert min(map(frames, (first, second, error))) > 3
    assert shorten(error) is error
    assert list(map(frames, (error, second, first))) == [0, 1, 1]
    assert traceback.extract_tb(first.__traceback__)[0].name == "deep"
    assert (error.__context__, second.__context__) == (second, first)


def test_each_of_a_group_is_a_cause() -> None:
    members = [raised(OSError("::1")), raised(OSError("127.0.0.1"), raised(ValueError("inner")))]
    group = raised(ExceptionGroup("addresses", [each for each in members if isinstance(each, Exception)]))
    error = LocalProtocolError("told")
    error.__cause__ = group
    shorten(error)
    assert [frames(each) for each in (group, *members, members[1].__context__) if each is not None] == [1, 1, 1, 1]


def test_an_error_without_a_cause_and_one_that_was_never_raised() -> None:
    for error in HestiaError("C", "m"), LocalProtocolError("m"):
        assert shorten(error).__traceback__ is None


def test_causes_that_are_a_circle() -> None:
    error, other = LocalProtocolError("a"), LocalProtocolError("b")
    error.__cause__, other.__cause__ = other, error
    assert shorten(error) is error

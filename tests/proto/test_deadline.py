"""A deadline by a clock that is handed in."""

from __future__ import annotations

import pytest

from hestiaos_proto import TimedOut
from hestiaos_proto._deadline import Deadline


def test_it_counts_down_and_never_below_0(clock) -> None:
    deadline = Deadline(clock, 5.0)
    assert deadline.left() == 5.0
    clock.now += 4
    assert deadline.left() == 1.0
    clock.now += 4
    assert deadline.left() == 0.0


def test_it_bounds_what_is_longer(clock) -> None:
    deadline = Deadline(clock, 5.0)
    assert (deadline.bound(3.0), deadline.bound(8.0)) == (3.0, 5.0)
    clock.now += 10
    assert deadline.bound(3.0) == 0.0


def test_check_raises_from_the_very_end_on(clock) -> None:
    deadline = Deadline(clock, 0.5)
    deadline.check()
    clock.now += 0.25
    deadline.check()
    clock.now += 0.25
    with pytest.raises(TimedOut, match=r"took longer than its deadline of 0\.5 s"):
        deadline.check()


@pytest.mark.parametrize("deadline", [Deadline(lambda: 0.0, None), Deadline.never()], ids=["None", "never"])
def test_a_deadline_that_never_passes(deadline: Deadline) -> None:
    assert deadline.left() is None
    assert deadline.bound(1e9) == 1e9
    deadline.check()


def test_an_expired_deadline_gives_the_error_to_raise(clock) -> None:
    error = Deadline(clock, 90).expired_error()
    assert isinstance(error, TimeoutError)
    assert error.message == "the call took longer than its deadline of 90 s"


def test_the_error_for_a_wait_that_was_too_long(clock) -> None:
    deadline = Deadline(clock, 0.5)
    assert deadline.timeout_error("nothing came").message == "nothing came"
    clock.now += 0.5
    assert deadline.timeout_error("nothing came").message == "the call took longer than its deadline of 0.5 s"
    assert Deadline.never().timeout_error("nothing came").message == "nothing came"

"""Under a limit, no interval as long as its window has more in it than the limit; what is not used has room again.

Times are whole numbers and windows are multiples of their steps, so that the arithmetic is exact.
"""

from __future__ import annotations

from math import inf, nextafter

from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.governance import Bucket, Charge, Counter, Exhausted, Limit, Reservation, admit

WINDOWS = st.sampled_from([60.0, 600.0, 3600.0])
WAITS = st.sampled_from([0, 0, 0, 1, 7, 59, 60, 61, 600, 3600, 3661]) | st.integers(0, 4000)
CALLS = st.lists(st.tuples(WAITS, st.integers(0, 40), st.integers(0, 40)), max_size=60)  # wait, reserved, used
LIMITS = st.builds(
    lambda window, requests, tokens: Limit(name="l", per="all", window=window, requests=requests, tokens=tokens),
    WINDOWS,
    st.none() | st.integers(1, 8),
    st.none() | st.integers(1, 100),
)


class Meter:
    """One counter, as a storage keeps it, and what it has admitted."""

    def __init__(self, limit: Limit | Bucket) -> None:
        self.limit = limit
        self.state: object = None
        self.admitted: list[tuple[float, int]] = []

    def charge(self, tokens: int = 0) -> Charge:
        return Charge(name="l", per="all", subject="", limit=self.limit, tokens=tokens)

    def reserve(self, tokens: int, now: float) -> Reservation | Exhausted:
        counter = self.charge().counter(self.state)
        answer = admit([self.charge(tokens)], [counter], now)
        if isinstance(answer, Exhausted):
            return answer
        reservation, (counter,) = answer
        self.state = counter.to_json()
        self.admitted.append((max(now, self.admitted[-1][0] if self.admitted else now), tokens))
        return reservation

    def settle(self, reservation: Reservation, tokens: int) -> None:
        counter: Counter = self.charge().counter(self.state)
        self.state = counter.settle(reservation.charges[0].tokens, tokens, reservation.places[0]).to_json()
        self.admitted[-1] = (self.admitted[-1][0], tokens)

    def most_in(self, seconds: float) -> tuple[int, int]:
        """The most requests, and the most tokens, in any interval of so many seconds, both ends included."""
        windows = [[used for at, used in self.admitted if start <= at <= start + seconds] for start, _ in self.admitted]
        return max(map(len, windows), default=0), max(map(sum, windows), default=0)


@given(LIMITS, CALLS)
def test_no_window_has_more_than_its_limit(limit: Limit, calls: list[tuple[int, int, int]]) -> None:
    meter = Meter(limit)
    now = 1_000_000.0
    for wait, reserved, used in calls:
        now += wait
        answer = meter.reserve(reserved, now)
        if isinstance(answer, Reservation):
            meter.settle(answer, min(used, reserved))
    requests, tokens = meter.most_in(limit.window)
    assert limit.requests is None or requests <= limit.requests
    assert limit.tokens is None or tokens <= limit.tokens


@given(LIMITS, CALLS)
def test_what_is_refused_has_room_when_it_is_told_to(limit: Limit, calls: list[tuple[int, int, int]]) -> None:
    """Not earlier than a step before, and at most one window and one step later."""
    meter = Meter(limit)
    now = 1_000_000.0
    for wait, reserved, _ in calls:
        now += wait
        before = meter.state
        answer = meter.reserve(reserved, now)
        if isinstance(answer, Reservation):
            continue
        assert meter.state == before
        if limit.tokens is not None and reserved > limit.tokens:
            assert answer.retry_after == inf
            continue
        step = limit.window / 60
        assert 0 < answer.retry_after <= limit.window + step
        if answer.retry_after > step:
            assert isinstance(meter.reserve(reserved, now + answer.retry_after - step), Exhausted)
        assert isinstance(meter.reserve(reserved, now + answer.retry_after), Reservation)
        now += answer.retry_after


@given(LIMITS, CALLS)
def test_a_window_that_has_passed_leaves_nothing(limit: Limit, calls: list[tuple[int, int, int]]) -> None:
    meter = Meter(limit)
    now = 1_000_000.0
    for wait, reserved, _ in calls:
        now += wait
        meter.reserve(reserved, now)
    counter = meter.charge().counter(meter.state)
    step = limit.window / 60
    assert counter.used(now + limit.window + step) == (0, 0)
    assert counter.until <= now + limit.window + step
    for at, _ in meter.admitted[-1:]:
        assert at + limit.window < counter.until
    assert counter.used(counter.until) == (0, 0)
    assert len(counter.to_json()["steps"]) <= 61


@given(st.integers(1, 5), st.sampled_from([5.0, 60.0]), st.lists(WAITS, max_size=60))
def test_a_bucket_admits_a_burst_and_then_its_pace(requests: int, per: float, waits: list[int]) -> None:
    meter = Meter(Bucket(requests, per))
    now = 1_000_000.0
    for wait in waits:
        now += wait
        answer = meter.reserve(0, now)
        if isinstance(answer, Exhausted):
            assert 0 < answer.retry_after <= per / requests + 1e-6
            now += nextafter(answer.retry_after, inf) + 1e-6
            assert isinstance(meter.reserve(0, now), Reservation)
    counter = meter.charge().counter(meter.state)
    assert counter.used(counter.until) in ((0, 0), (1, 0))  # where the sum is rounded
    assert counter.used(counter.until + 1e-3) == (0, 0)
    assert not waits or counter.used(counter.until - per / requests / 2) >= (1, 0)
    times = [at for at, _ in meter.admitted]
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= requests * (1 + (times[last] - start) / per) + 1e-6


@given(LIMITS, st.lists(st.tuples(st.integers(0, 30), st.integers(-200, 0)), max_size=60))
def test_clocks_that_are_read_in_another_order_overrun_nothing(limit: Limit, calls: list[tuple[int, int]]) -> None:
    """`now` is read before the transaction begins, and counts as not earlier than what was admitted before."""
    meter = Meter(limit)
    now = 1_000_000.0
    for wait, late in calls:
        now += wait
        meter.reserve(5, now + late * limit.window / 600)
    requests, tokens = meter.most_in(limit.window)
    assert limit.requests is None or requests <= limit.requests
    assert limit.tokens is None or tokens <= limit.tokens


@given(LIMITS, st.integers(1, 8))
def test_a_clock_that_was_set_back_frees_the_limit(limit: Limit, calls: int) -> None:
    meter = Meter(limit)
    for _ in range(calls):
        meter.reserve(1, 1_000_000_000.0)
    assert isinstance(meter.reserve(1, 1_000_000.0), Reservation)

"""Properties of the call generator: whatever answers it, it keeps to what it promises."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hestiaos_proto import (
    Config,
    ConnectFailed,
    ConnectionLost,
    HestiaError,
    Operation,
    RemoteProtocolError,
    Response,
    Runtime,
    Send,
    TimedOut,
    Wait,
    call_flow,
    operations,
)

OPERATIONS: list[Operation[Any]] = [
    operations.run("x"),
    operations.chat("x"),
    operations.run_agent("a", "x"),
    operations.run_stream("x"),
    operations.health(),
    operations.set_secret("k", "v"),
    operations.delete_secret("k"),
    operations.explain("x"),
]
STARTS_WORK = {"run", "chat", "run_agent", "run_stream"}
NOT_BEGUN = (429, 503)


def lost(*, stale: bool) -> ConnectionLost:
    error = ConnectionLost("lost")
    error.stale = stale
    return error


REPLIES = st.one_of(
    st.builds(ConnectFailed, st.just("refused")),
    st.builds(lost, stale=st.booleans()),
    st.builds(TimedOut, st.just("late"), request_sent=st.booleans()),
    st.builds(RemoteProtocolError, st.just("garbage")),
    st.tuples(
        st.sampled_from([200, 204, 301, 400, 401, 403, 404, 409, 422, 429, 500, 501, 502, 503, 504]),
        st.none() | st.sampled_from([b"0", b"1", b"59.5", b"60", b"61", b"-5", b"soon", b"1e9"]),
    ),
)


def begun(reply: HestiaError | tuple[int, bytes | None]) -> bool:
    """Whether the server may have begun to work, as far as a client can tell."""
    if isinstance(reply, tuple):
        return reply[0] not in NOT_BEGUN
    return getattr(reply, "request_sent", True)


@given(
    st.sampled_from(OPERATIONS),
    st.integers(0, 5),
    st.lists(REPLIES, min_size=8, max_size=8),
    st.none() | st.floats(0.1, 100),
    st.randoms(use_true_random=False),
)
def test_a_call_keeps_its_promises(
    operation: Operation[Any],
    retries: int,
    replies: list[HestiaError | tuple[int, bytes | None]],
    deadline: float | None,
    source: random.Random,
) -> None:
    """At most `retries + 1` sends and one for a stale connection; no second send of work that may have begun; every
    wait within its bound, all within the deadline; the same key throughout, and none where a repeat is harmless."""
    now = [1000.0]
    steps = call_flow(
        operation,
        Config(retries=retries),
        Runtime(lambda: now[0], lambda: 1e9, source),
        options={"deadline": deadline},
    )
    sends: list[Send] = []
    answered: list[HestiaError | tuple[int, bytes | None]] = []
    keys: set[str | None] = set()
    stale = 0
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                assert 0 <= step.seconds <= 60
                last = answered[-1]
                if not isinstance(last, tuple) or last[1] in (None, b"-5", b"soon"):
                    assert step.seconds <= min(8, 0.5 * 2 ** (len(sends) - stale - 1))
                now[0] += step.seconds
                step = steps.send(None)
                assert isinstance(step, Send)
            if operation.name in STARTS_WORK:
                assert not any(map(begun, answered))
            sends.append(step)
            keys.add(step.request.headers.get("Idempotency-Key"))
            told = replies[len(sends) - 1]
            answered.append(told)
            stale += (
                isinstance(told, ConnectionLost) and told.stale and stale == 0 and operation.name not in STARTS_WORK
            )
            if isinstance(told, tuple):
                headers = [] if told[1] is None else [(b"retry-after", told[1])]
                step = steps.send(Response(told[0], headers))
            else:
                step = steps.throw(told)
    except (HestiaError, StopIteration):
        pass
    assert 1 <= len(sends) <= retries + 1 + stale
    assert len(keys) == 1
    assert (None in keys) == (operation.name not in STARTS_WORK)
    if deadline is not None:
        assert now[0] - 1000.0 <= deadline + 1e-6

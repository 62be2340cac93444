"""Properties of the call generator: whatever answers it, it keeps to what it promises."""

from __future__ import annotations

import random
import re
from itertools import count, islice
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hestiaos_proto import (
    CallContext,
    Config,
    ConnectFailed,
    ConnectionLost,
    HestiaError,
    Operation,
    RemoteProtocolError,
    Response,
    Runtime,
    Send,
    StreamEvent,
    TimedOut,
    Wait,
    call_flow,
    operations,
)
from tests.support.flows import HookRecorder, runtime, status
from tests.support.scripted_streams import END, PIECES, Step, SyncReader, context

OPERATIONS: list[Operation[Any]] = [
    operations.run("x"),
    operations.chat("x"),
    operations.run_agent("a", "x"),
    operations.run_stream("x"),
    operations.health(),
    operations.set_secret("k", "v"),
    operations.delete_secret("k"),
    operations.explain("WRITE"),
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
    """Whether the server may have begun to work on it, as far as a client can tell."""
    if isinstance(reply, tuple):
        if reply[0] == 409 and reply[1] not in (None, b"-5", b"soon"):
            return False  # it works on the first request with this key
        return reply[0] not in NOT_BEGUN
    return getattr(reply, "request_sent", True)


@given(
    st.sampled_from(OPERATIONS),
    st.integers(0, 5),
    st.lists(REPLIES, min_size=8, max_size=8),
    st.none() | st.floats(0.1, 100),
    st.randoms(use_true_random=False),
)
def test_repeats_of_a_call_are_bounded_and_safe(
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
            reply = replies[len(sends) - 1]
            answered.append(reply)
            stale += (
                isinstance(reply, ConnectionLost) and reply.stale and stale == 0 and operation.name not in STARTS_WORK
            )
            if isinstance(reply, tuple):
                headers = [] if reply[1] is None else [(b"retry-after", reply[1])]
                step = steps.send(Response(reply[0], headers))
            else:
                step = steps.throw(reply)
    except (HestiaError, StopIteration):
        pass
    assert 1 <= len(sends) <= retries + 1 + stale
    assert len(keys) == 1
    assert (None in keys) == (operation.name not in STARTS_WORK)
    if deadline is not None:
        assert now[0] - 1000.0 <= deadline + 1e-6


def step_of(head: int) -> Step:
    """What comes instead of the stream: a refusal, or a fault."""
    return (
        head if head > 100 else [ConnectFailed("x"), ConnectionLost("x"), TimedOut("x"), RemoteProtocolError("x")][head]
    )


LEFT = st.sampled_from(["close", "drop", "interrupt"])
"""How a call is left before its end."""


def letters(recorder: HookRecorder) -> str:
    """The hooks that were called, by their first letters; a response is `s` and a repeat `t`."""
    return "".join(
        {"request": "q", "response": "s", "retry": "t", "event": "v", "end": "e"}[name] for name in recorder.names
    )


@given(
    st.sampled_from([operation for operation in OPERATIONS if operation.name != "run_stream"]),
    st.integers(0, 5),
    st.lists(REPLIES, min_size=8, max_size=8),
    st.none() | st.integers(0, 12),
    LEFT,
)
def test_hooks_are_called_from_the_first_request_of_a_call_to_its_end(
    operation: Operation[Any], retries: int, replies: list[Any], steps: int | None, left: str
) -> None:
    """For each attempt a request and at most one response, a repeat between two of them, and at last one end, with the
    error that is raised, after however many steps the call is left."""
    recorder, interrupt = HookRecorder(), KeyboardInterrupt()
    flow, _ = CallContext(Config(retries=retries), runtime(), (recorder.hooks,)).begin(operation, {})
    raised: BaseException | None = None
    try:
        step = next(flow)
        for number in count():
            if number == steps:
                if left == "interrupt":
                    flow.throw(interrupt)
                break
            if isinstance(step, Wait):
                step = flow.send(None)
                continue
            reply = replies.pop(0)
            if isinstance(reply, tuple):
                step = flow.send(
                    status(reply[0], {}, **({} if reply[1] is None else {"retry_after": reply[1].decode()}))(step)
                )
            else:
                step = flow.throw(reply)
    except StopIteration:
        pass
    except (HestiaError, KeyboardInterrupt) as error:
        raised = error
    else:
        if left == "close":
            flow.close()
        del flow
    assert re.fullmatch("(qs?t)*(qs?)?e", letters(recorder))
    (end,) = recorder.ends
    assert end is raised or isinstance(end, GeneratorExit)
    assert [reply[1] for reply in recorder.notes if reply[0] == "request"] == list(
        range(recorder.names.count("request"))
    )


@given(
    st.lists(st.sampled_from([503, 404, *map(int, "0123")]), max_size=3),
    st.lists(st.integers(0, 2), max_size=6),
    st.integers(0, 8),
    st.sampled_from(["close", "drop", "go on"]),
)
def test_hooks_are_called_from_the_first_request_of_a_stream_to_its_end(
    heads: list[int], pieces: list[int], taken: int, left: str
) -> None:
    """As a call, and each event that was handed out after the last response, wherever the stream is cut or left."""
    recorder = HookRecorder()
    stream = SyncReader(
        *map(step_of, heads), *([*PIECES, END][each] for each in pieces), context=context(recorder.hooks)
    )
    out: list[StreamEvent] = []
    raised: HestiaError | None = None
    try:
        out.extend(islice(stream, taken if left != "go on" else None))
    except HestiaError as error:
        raised = error
    if left == "close":
        stream.close()
    # The traceback of an error that is kept keeps the stream.
    recorder.notes[:] = [what[:1] if what[0] == "retry" else what for what in recorder.notes]
    del stream
    written = letters(recorder)
    assert re.fullmatch("(qs?t)*(qs?v*)?e", written)
    assert recorder.ends == [raised]
    assert written.count("v") >= len(out)  # those before an error reach the hooks, and are lost by `extend`

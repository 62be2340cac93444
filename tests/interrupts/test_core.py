"""Ctrl-C at every line of a call that the core carries out by itself: its observer notes the end."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from hestiaos_proto import CallContext, Config, ConnectFailed, Response, Send, operations, run_flow
from hestiaos_proto import _calls as calls
from tests.support.flows import HEALTH_RESULT, HookRecorder, runtime, status
from tests.support.interrupts import Interrupt
from tests.support.scripted_streams import END, PIECES, SyncReader, context


def strike(interrupt: Interrupt, work: Callable[[], object]) -> None:
    """Do this work until the interrupt.

    It does not strike in the finalizers of earlier turns, which the collector runs.
    """
    gc.disable()
    try:
        with suppress(KeyboardInterrupt), interrupt.during():
            work()
    finally:
        gc.enable()


def test_ctrl_c_at_any_line_ends_a_call_once() -> None:
    """`on_call_end` is called at once, last and once if any hook was called before, but for an interrupt in a hook."""

    def send(step: Send) -> Response:
        return status(503 if recorder.names.count("request") == 1 else 200, HEALTH_RESULT)(step)

    lines = Path(calls.__file__).read_text(encoding="utf-8").splitlines()
    # CPython handles signals at calls and jumps. A `try` by itself is neither, and no handler covers it.
    tries = {f"hestiaos_proto/_calls.py:{number}" for number, line in enumerate(lines, 1) if line.strip() == "try:"}
    client, turns = CallContext(Config(api_key="k"), runtime()), 0
    for turn in count(1):
        recorder = HookRecorder()
        flow, _ = client.begin(operations.health(), {"timeout": 1.0, "hooks": recorder.hooks})
        interrupt = Interrupt(KeyboardInterrupt(), turn)
        strike(interrupt, partial(run_flow, flow, send, lambda seconds: None))
        if not interrupt.where:
            break
        turns += 1
        if interrupt.where.split()[0] not in tries and "CallObserver" not in interrupt.where:
            assert recorder.names.count("end") == bool(recorder.notes), interrupt.where
        assert "end" not in recorder.names[:-1], interrupt.where
    assert turns > 100
    assert recorder.names == ["request", "response", "retry", "request", "response", "end"]


def test_ctrl_c_at_any_line_ends_a_stream_once() -> None:
    """Then or, for a strike in the ending itself, when it is closed."""
    turns = 0
    for turn in count(1):
        recorder = HookRecorder()
        stream = SyncReader(ConnectFailed("refused"), *PIECES, END, context=context(recorder.hooks))
        interrupt = Interrupt(KeyboardInterrupt(), turn)
        strike(interrupt, partial(list, stream))
        if not interrupt.where:
            break
        turns += 1
        stream.close()
        if "CallObserver" not in interrupt.where:
            assert recorder.names.count("end") == 1, interrupt.where
        assert recorder.names[-1:] == ["end"] or "CallObserver" in interrupt.where, interrupt.where
    assert turns > 100
    assert recorder.names == ["request", "retry", "request", "response", *["event"] * 4, "end"]

"""A worker that is killed in the middle of a stream, or after it: what another with the same store says of the rest."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from hestiaos import Client, StatusError, StreamInterrupted
from tests.support.broad import BROAD
from tests.support.cutting_proxy import Cut, CuttingProxy
from tests.support.served_process import ServedProcess

pytestmark = BROAD


def after(client: Client, last: str) -> list[str]:
    """The types of the events after this one."""
    stream = client.run_stream("a b c", idempotency_key="k", headers={"Last-Event-ID": last})
    return [event.type for event in stream]


def test_the_rest_of_a_stream_that_was_over_comes_from_the_store(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "store.db"))
    with ServedProcess(*store) as first, ServedProcess(*store) as second:
        with Client(first.url) as client:
            events = list(client.run_stream("a b c", idempotency_key="k"))
        first.send_signal(signal.SIGKILL)
        with Client(second.url, strict=False) as client:  # the rest does not begin with `start`
            assert after(client, f"{events[0].trace_id}/2") == [event.type for event in events[3:]]
            assert [trace.trace_id for trace in client.governance.traces()] == [events[0].trace_id]  # executed once


def test_a_stream_that_was_under_way_cannot_go_on_and_that_is_said(tmp_path: Path) -> None:
    """Until the lease of its run has run out it counts as under way, and nothing is executed a second time."""
    store = ("--store", str(tmp_path / "store.db"))
    with ServedProcess(*store, "--token-delay", "5") as first, ServedProcess(*store) as second:
        with CuttingProxy(first.url, Cut(rb'"start"[^\n]*\n\n', 1)) as proxy, Client(proxy.url, retries=0) as client:
            with pytest.raises(StreamInterrupted) as lost:
                list(client.run_stream("a b c", idempotency_key="k", resume=True))
            assert lost.value.last_event is not None
            trace_id = lost.value.last_event.trace_id
        first.send_signal(signal.SIGKILL)
        with Client(second.url, retries=0) as client:
            with pytest.raises(StatusError) as said:
                after(client, f"{trace_id}/0")
            assert (said.value.status_code, said.value.code) == (409, "IN_PROGRESS")
            assert said.value.retry_after is not None
            assert [trace.trace_id for trace in client.governance.traces()] == [trace_id]

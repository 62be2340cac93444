"""A stream whose worker is killed, behind a balancer that leads its client to another one over the same database."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic, sleep

import pytest

from hestiaos import CallInfo, Client, HestiaError, Hooks, StatusError, StreamInterrupted
from tests.support.cutting_proxy import Cut, CuttingProxy
from tests.support.served_process import ServedProcess

psycopg = pytest.importorskip("psycopg")

TEXT = "one two three four"
IN_THE_SECOND_TOKEN = Cut(rb'"token"', 2)


@pytest.fixture
def other(url: str) -> Iterator[ServedProcess]:
    with ServedProcess("--store", url) as worker:
        yield worker


def results(url: str, statement: str) -> int:
    """The number of rows that a statement finds or changes."""
    with psycopg.connect(url, autocommit=True, options="-csearch_path=hestiaos") as connection:
        return int(connection.execute(statement.encode()).rowcount)


def when_over(url: str) -> None:
    """Wait until a result is stored."""
    until = monotonic() + 30
    while not results(url, "SELECT FROM results WHERE result IS NOT NULL"):
        assert monotonic() < until
        sleep(0.02)


class Steps:
    """Takes one step each time that a call is to be repeated."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)
        self.said: list[str] = []
        self.hooks = Hooks(on_retry=self._retried)

    def _retried(self, call: CallInfo, error: HestiaError, wait: float) -> None:
        self.said.append(error.code)
        if self._steps:
            self._steps.pop(0)()


def test_another_worker_goes_on_from_what_is_stored(url: str, other: ServedProcess) -> None:
    """The run has ended without its client, as it was asked to."""
    with ExitStack() as stack:
        worker = stack.enter_context(ServedProcess("--store", url, "--token-delay", "0.1"))
        proxy = stack.enter_context(CuttingProxy(worker.url, IN_THE_SECOND_TOKEN))

        def kill() -> None:
            when_over(url)
            worker.send_signal(signal.SIGKILL)
            proxy.lead_to(other.url)

        steps = Steps(kill)
        client = stack.enter_context(Client(proxy.url, hooks=steps.hooks))
        stream = client.run_stream(TEXT, idempotency_key="k", resume=True)
        events = [event.type for event in stream]
        assert (events[0], events[-2:], events.count("token")) == ("start", ["final", "done"], len(TEXT.split()) + 1)
        assert stream.text == f"processed: {TEXT}"
        assert len(steps.said) == 1
        assert len(client.governance.traces()) == 1, "executed once"
        assert client.governance.verify_audit()["intact"] is True


def test_where_it_cannot_go_on_it_says_so_and_the_key_is_free_again(url: str, other: ServedProcess) -> None:
    """What was under way died with its worker: its lease runs out first, as no one knows that the worker is dead."""
    with ExitStack() as stack:
        worker = stack.enter_context(ServedProcess("--store", url, "--token-delay", "60"))
        proxy = stack.enter_context(CuttingProxy(worker.url, Cut(rb'"start"[^\n]*\n\n', 1)))

        def kill() -> None:
            worker.send_signal(signal.SIGKILL)
            proxy.lead_to(other.url)

        def let_the_lease_run_out() -> None:
            assert results(url, "UPDATE results SET lease_until = 0 WHERE result IS NULL") == 1

        steps = Steps(kill, let_the_lease_run_out)
        client = stack.enter_context(Client(proxy.url, hooks=steps.hooks))
        with pytest.raises(StreamInterrupted) as lost:
            list(client.run_stream(TEXT, idempotency_key="k", resume=True))
        assert lost.value.last_event is not None
        assert lost.value.last_event.type == "start"
        assert isinstance(lost.value.__cause__, StatusError)
        assert lost.value.__cause__.code == "EVENTS_FORGOTTEN"
        assert steps.said[1:] == ["IN_PROGRESS"]
        [killed] = client.governance.traces()
        again = client.run_stream(TEXT, idempotency_key="k")
        assert [event.type for event in again][-1] == "done"
        assert [trace.trace_id for trace in client.governance.traces()][1:] == [killed.trace_id]

"""A stream that goes on where its connection was lost, against the served platform, through a proxy that cuts."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from hestiaos import HestiaError, Platform, StreamEvent, StreamInterrupted
from hestiaos_local.execution import Work, function_executor
from hestiaos_local.storage import Store
from hestiaos_local.testing._serving import serving
from hestiaos_proto import Runtime
from tests.support.cutting_proxy import Cut, CuttingProxy
from tests.support.scenario import fault
from tests.support.sessions import Session

LOST = "the connection of a stream with `resume=True` is lost at every event and inside events, once and three times"
NOT_RESUMED = "the same before its first event, once more than there are repeats, or without `resume=True`"

WORDS = ("one ", "zwölf ", "😀 ", "four")
TYPES = ["start", *["token"] * len(WORDS), "final", "done"]

END_OF_EVENT, ID, DATA, CHARACTER = rb"\}\n\n", rb"id: [^\n]{9}", rb'data: \{"type":', rb"zw\xc3"
EVERY_PLACE = [
    *(Cut(END_OF_EVENT, number, reset=number % 2 == 0) for number in range(1, len(TYPES))),
    *(Cut(pattern, number) for pattern in (ID, DATA) for number in range(2, len(TYPES) + 1)),
    Cut(CHARACTER, 1),
]


class NoWaits(random.Random):
    """Repeats come at once, as the jitter may have it."""

    def random(self) -> float:
        return 0.0


class Model:
    """Says its words one by one, and counts how often it was asked."""

    def __init__(self, pause: float = 0.002) -> None:
        self.asked = 0
        self._pause = pause
        self.executor = function_executor(self._say)

    async def _say(self, work: Work) -> AsyncIterator[str]:
        self.asked += 1
        for word in WORDS:
            await anyio.sleep(self._pause)
            yield word


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeats come at once, as the jitter may have it."""
    monkeypatch.setattr(random.SystemRandom, "random", lambda self: 0.0)


def read(
    binding: type[Session], url: str, *cuts: Cut, **options: Any
) -> tuple[list[StreamEvent], HestiaError | None, str, list[bytes]]:
    with CuttingProxy(url, *cuts) as proxy, binding(proxy.url, retries=3) as session:
        client: Any = session.client  # type: ignore[attr-defined]  # each binding has one
        if hasattr(client, "runtime"):
            client.runtime = Runtime(time.monotonic, time.time, NoWaits())
        stream = session.stream("go", **{"resume": True} | options)
        events, error = stream.read()
        return events, error, stream.native.text, proxy.requests


def check_whole(result: tuple[list[StreamEvent], HestiaError | None, str, list[bytes]], requests: int) -> None:
    events, error, text, sent = result
    assert error is None
    assert [event.type for event in events] == TYPES
    assert text == "".join(WORDS)
    assert len({event.trace_id for event in events}) == 1
    assert len(sent) == requests


def keys(requests: Sequence[bytes]) -> set[bytes]:
    return {
        line for request in requests for line in request.splitlines() if line.lower().startswith(b"idempotency-key")
    }


@fault(LOST)
def test_a_connection_that_is_lost_once_at_every_place(binding: type[Session]) -> None:
    """Each event once, in order, and nothing executed twice."""
    model = Model()
    with Platform(executor=model.executor) as platform, serving(platform) as url:
        for number, cut in enumerate(EVERY_PLACE, 1):
            result = read(binding, url, cut)
            check_whole(result, requests=2)
            assert len(keys(result[-1])) == 1
            assert model.asked == number


@fault(LOST)
@pytest.mark.parametrize("pattern", [END_OF_EVENT, ID, DATA], ids=["after an event", "in an id", "in an event"])
def test_a_connection_that_is_lost_three_times_in_one_stream(binding: type[Session], pattern: bytes) -> None:
    model = Model()
    with Platform(executor=model.executor) as platform, serving(platform) as url:
        check_whole(read(binding, url, *[Cut(pattern, 2, reset=number == 1) for number in range(3)]), requests=4)
        assert model.asked == 1


@fault(NOT_RESUMED)
def test_a_fourth_loss_is_one_too_many(binding: type[Session]) -> None:
    model = Model()
    with Platform(executor=model.executor) as platform, serving(platform) as url:
        events, error, _, requests = read(binding, url, *[Cut(END_OF_EVENT, 1)] * 4)
        assert isinstance(error, StreamInterrupted)
        assert [event.type for event in events] == TYPES[:4]
        assert (len(requests), model.asked) == (4, 1)


@fault(LOST)
def test_a_loss_after_done_is_none(binding: type[Session]) -> None:
    with Platform(executor=Model().executor) as platform, serving(platform) as url:
        check_whole(read(binding, url, Cut(END_OF_EVENT, len(TYPES))), requests=1)


@fault(NOT_RESUMED)
@pytest.mark.parametrize("pattern", [ID, DATA, rb"\r\n\r\n"], ids=["in an id", "in an event", "after the head"])
def test_a_loss_before_the_first_event_interrupts_the_stream(binding: type[Session], pattern: bytes) -> None:
    model = Model()
    with Platform(executor=model.executor) as platform, serving(platform) as url:
        events, error, _, requests = read(binding, url, Cut(pattern, 1))
        assert isinstance(error, StreamInterrupted)
        assert "there is no event id to resume from" in error.message
        assert (events, len(requests)) == ([], 1)


@fault(NOT_RESUMED)
def test_a_caller_that_did_not_ask_for_it_is_interrupted_as_ever(binding: type[Session]) -> None:
    with Platform(executor=Model().executor) as platform, serving(platform) as url:
        events, error, _, requests = read(binding, url, Cut(END_OF_EVENT, 2), resume=False)
        assert isinstance(error, StreamInterrupted)
        assert "resumed" not in error.message
        assert (len(events), len(requests)) == (2, 1)
        assert b"prefer" not in requests[0].lower()


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    with_file = request.param == "file"
    return Store(tmp_path / "store.sqlite") if with_file else Store()


@fault(LOST)
@pytest.mark.parametrize("count", [1, 3])
def test_the_echo_is_resumed_too(binding: type[Session], store: Store, count: int) -> None:
    with Platform(store=store) as platform, serving(platform) as url:
        events, error, text, requests = read(binding, url, *[Cut(END_OF_EVENT, 1)] * count)
        assert error is None
        assert [event.type for event in events] == ["start", "token", "token", "final", "done"]
        assert (text, len(requests)) == ("processed: go", count + 1)
        assert store.decisions() == {"ALLOW": 1}

"""The clients on trio: no more connections than may be, every place comes back, and no unfit connection is used again.

A list of steps is carried out in one `trio.run`, whose clock moves only where a step says so, and held against a model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from hestiaos import AsyncClient, AsyncEventStream, LocalProtocolError, TimedOut, TrioClient, TrioEventStream
from tests.support.http_library import http as httpx

PATIENCE = 10.0  # seconds that a call waits for its place
EXPIRY = 5.0  # seconds that an idle connection is kept
JUMPS = [3.0, 6.0, 11.0]  # within both, over one, over both; no sum of them is either
ROUNDS = 5000  # a millisecond each, in which the server answers

STEPS = st.one_of(
    st.tuples(st.sampled_from(["call", "call", "stream", "leave", "leave_and_cancel"]), st.integers(0, 3)),
    st.tuples(st.sampled_from(["cancel", "end_idle", "cancel_a_call", "cancel_a_stream"]), st.integers(0, 12)),
    st.tuples(st.just("let_time_pass"), st.integers(0, len(JUMPS) - 1)),
)


@define(eq=False)
class User:
    """Somebody who calls, or who begins a stream and holds its connection from then on."""

    scope: trio.CancelScope
    since: float
    stream: AsyncEventStream | TrioEventStream | None
    number: int = 0  # of the connection, as the server counts
    state: str = "waits"


class Play:
    """Carries out steps, and knows what has to come of them."""

    def __init__(
        self,
        client: AsyncClient | TrioClient,
        server: Any,
        most: int,
        clock: trio.testing.MockClock,
        nursery: trio.Nursery,
    ) -> None:
        self.client, self.server, self.most, self.clock, self.nursery = client, server, most, clock, nursery
        self.waiting: list[User] = []
        self.holding: list[User] = []
        self.idle: dict[int, float] = {}  # since when, of the connections that may be used again
        self.unfit: set[int] = set()

    # The steps.

    async def call(self, _: int) -> None:
        self._begin(None)

    async def stream(self, _: int) -> None:
        self._begin(self.client.run_stream("x"))

    def _begin(self, stream: AsyncEventStream | TrioEventStream | None) -> None:
        user = User(trio.CancelScope(), trio.current_time(), stream)
        self.waiting.append(user)
        self.nursery.start_soon(self._use, user)

    async def _use(self, user: User) -> None:
        with user.scope:
            try:
                if user.stream is None:
                    user.number = int((await self.client.health_async()).version)
                    user.state = "is done"
                else:
                    user.number = (await anext(user.stream)).data["connection"]
                    user.state = "holds"
            except TimedOut as error:
                user.state = "timed out" if not error.request_sent else repr(error)
        if user.scope.cancelled_caught:
            user.state = "cancelled"

    async def cancel_a_call(self, turns: int) -> None:
        """It may have a place by then, or a connection that is being made, or all of it."""
        self._begin(None)
        await self._cancel_after(turns)

    async def cancel_a_stream(self, turns: int) -> None:
        self._begin(self.client.run_stream("x"))
        await self._cancel_after(turns)

    async def _cancel_after(self, turns: int) -> None:
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        self.waiting[-1].scope.cancel()

    async def cancel(self, which: int) -> None:
        if self.waiting:
            self.waiting[which % len(self.waiting)].scope.cancel()

    async def leave(self, which: int) -> None:
        """In the middle of the stream: its connection is not to be used again."""
        if self.holding:
            user = self.holding.pop(which % len(self.holding))
            assert user.stream is not None
            await user.stream.aclose()
            assert self.server.has_ended(user.number)

    async def leave_and_cancel(self, which: int) -> None:
        """At the same moment: the place must not get lost between the two."""
        await self.leave(which)
        await self.cancel(0)

    async def end_idle(self, which: int) -> None:
        """The server closes an idle one."""
        if self.idle:
            number = sorted(self.idle)[which % len(self.idle)]
            self.server.end(number)
            self._never_again(number)

    async def let_time_pass(self, which: int) -> None:
        self.clock.jump(JUMPS[which])
        for number, since in list(self.idle.items()):
            if trio.current_time() - since > EXPIRY:
                self._never_again(number)

    def _never_again(self, number: int) -> None:
        self.idle.pop(number, None)
        self.unfit.add(number)

    # What has to come of them.

    async def settle(self) -> None:
        """Let everybody come to rest, the server too."""
        for turn in range(ROUNDS):
            await trio.testing.wait_all_tasks_blocked(0.001 if turn else 0.0)
            for user in [user for user in self.waiting if user.state != "waits"]:
                self.waiting.remove(user)
                self._has_come_to_rest(user)
            assert len(self.holding) <= self.most
            assert self.server.has_at_most(self.most)
            if not self.waiting or len(self.holding) == self.most:
                break
        else:
            raise AssertionError("there is a place, and somebody waits for it")
        assert all(trio.current_time() - user.since < PATIENCE for user in self.waiting)

    def _has_come_to_rest(self, user: User) -> None:
        assert user.state in ("is done", "holds", "cancelled", "timed out")
        assert user.number not in self.unfit, "a connection was used again that must not be"
        if user.state == "is done":
            self.idle[user.number] = trio.current_time()
        elif user.state == "holds":
            self.holding.append(user)
            self._never_again(user.number)  # its user does not end its stream

    async def end(self) -> None:
        """Every place has come back, and nothing stays open."""
        for user in self.waiting:
            user.scope.cancel()
        while self.holding:
            await self.leave(0)
        await self.settle()
        for _ in range(self.most + 1):
            await self.stream(0)
        await self.settle()
        assert (len(self.holding), len(self.waiting)) == (self.most, 1)
        self.waiting[0].scope.cancel()
        await self.settle()
        while self.holding:
            await self.leave(0)
        await self.call(0)
        await self.settle()
        await self.client.aclose()
        assert self.server.has_at_most(0)
        with pytest.raises(LocalProtocolError, match="the client is closed"):
            await self.client.health_async()


def new_async_client(url: str, most: int) -> AsyncClient:
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=EXPIRY)
    return AsyncClient(url, timeout=PATIENCE, retries=0, limits=limits)


def new_trio_client(url: str, most: int) -> TrioClient:
    return TrioClient(url, timeout=PATIENCE, retries=0, max_connections=most)


@pytest.mark.parametrize("new", [new_async_client, new_trio_client])
@settings(max_examples=settings().max_examples // 2)  # a real connection takes its time
@given(most=st.integers(1, 3), steps=st.lists(STEPS, max_size=15))
def test_the_client(server: Any, new: Callable[..., Any], most: int, steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        async with trio.open_nursery() as nursery:
            play = Play(new(server.url, most), server, most, clock, nursery)
            try:
                for name, which in steps:
                    await getattr(play, name)(which)
                    await play.settle()
                await play.end()
            finally:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await play.client.aclose()

    clock = trio.testing.MockClock()
    with pytest.MonkeyPatch.context() as patch:
        # httpx has no other clock: its time passes with trio's.
        patch.setattr(time, "monotonic", clock.current_time)
        trio.run(play, clock=clock)

"""The trio pool: never more connections than it may have, every place comes back, and nothing unfit is handed out.

What it hands out is the connection that was given back last, of those that are whole, open and fresh.
A list of steps is carried out in one `trio.run`, whose clock moves only where a step says so, and held against a model.
"""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_proto import Config, LocalProtocolError, Operation, Send, TimedOut, operations
from hestiaos_proto.deadline import Deadline
from hestiaos_trio.connection import Connection
from hestiaos_trio.pool import Pool

PATIENCE = 10.0  # seconds that a user waits for a place
KEPT = 5.0  # seconds that an idle connection is kept
JUMPS = [3.0, 6.0, 11.0]  # within both, over one, over both; no sum of them is either

STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["acquire", "acquire", "release", "release", "release_unfinished", "release_ended"]),
        st.integers(0, 3),
    ),
    st.tuples(st.sampled_from(["cancel", "end_idle", "speak_idle", "cancel_in_the_middle"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(["release_and_cancel", "release_and_time_out"]), st.integers(0, 3)),
    st.tuples(st.sampled_from(["let_time_pass", "release_and_let_time_pass"]), st.integers(0, len(JUMPS) - 1)),
)


@define(eq=False)
class User:
    """Somebody who wants a connection."""

    scope: trio.CancelScope
    since: float
    state: str = "waits"
    connection: Connection | None = None
    number: int = 0  # of the connection, as the server counts


@define
class Idle:
    """A connection of which the pool knows that nobody uses it."""

    connection: Connection
    number: int
    since: float
    fit: bool = True  # nothing has come over it that nobody asked for


class Play:
    """Carries out steps, and knows what has to come of them."""

    def __init__(self, server: Any, most: int, clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
        self.server, self.most, self.clock, self.nursery = server, most, clock, nursery
        self.config = Config(base_url=server.url, timeout=PATIENCE)
        self.pool = Pool(self.config, None, None, most)
        self.health, self.run_stream = self._send(operations.health()), self._send(operations.run_stream("x"))
        self.waiting: list[User] = []
        self.granted: list[User] = []  # since everybody came to rest, in this order
        self.holding: list[User] = []
        self.idle: list[Idle] = []  # the last is the first to be used
        self.seen: set[int] = set()

    def _send(self, operation: Operation[Any]) -> Send:
        return Send.of(operation, self.config, Deadline.never())

    # The steps.

    async def acquire(self, _: int) -> None:
        user = User(trio.CancelScope(), trio.current_time())
        self.waiting.append(user)
        self.nursery.start_soon(self._use, user)

    async def _use(self, user: User) -> None:
        with user.scope:
            try:
                user.connection = await self.pool.acquire(self.health)
                user.state = "holds"
                self.granted.append(user)
            except TimedOut as error:
                user.state = "timed out" if not error.request_sent else repr(error)
            except LocalProtocolError:
                user.state = "told"
        if user.scope.cancelled_caught:
            user.state = "cancelled"

    async def cancel_in_the_middle(self, turns: int) -> None:
        """The user may have a place then, or a connection that is being made, or all of it."""
        await self.acquire(0)
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        self.waiting[-1].scope.cancel()

    async def cancel(self, which: int) -> None:
        if self.waiting:
            self.waiting[which % len(self.waiting)].scope.cancel()

    async def release(self, which: int) -> None:
        if self.holding:
            user = self.holding.pop(which % len(self.holding))
            self._release(user, fit=True)

    def _release(self, user: User, *, fit: bool) -> None:
        assert user.connection is not None
        self.idle.append(Idle(user.connection, user.number, trio.current_time(), fit))
        self.pool.release(user.connection)

    async def release_unfinished(self, which: int) -> None:
        """In the middle of a response: it is not to be used again."""
        if self.holding:
            user = self.holding.pop(which % len(self.holding))
            assert user.connection is not None
            await user.connection.exchange(self.run_stream)
            self.pool.release(user.connection)
            assert self.server.has_ended(user.number)

    async def release_ended(self, which: int) -> None:
        """The server has closed it, and nobody knows yet."""
        if self.holding:
            user = self.holding.pop(which % len(self.holding))
            self.server.end(user.number)
            self._release(user, fit=False)

    async def end_idle(self, which: int) -> None:
        if self.idle:
            idle = self.idle[which % len(self.idle)]
            self.server.end(idle.number)
            idle.fit = False

    async def speak_idle(self, which: int) -> None:
        if good := [idle for idle in self.idle if self._is_good(idle)]:
            idle = good[which % len(good)]
            self.server.speak(idle.number)
            while idle.connection.usable:  # until it has arrived
                await trio.lowlevel.checkpoint()
            idle.fit = False

    @staticmethod
    def _is_good(idle: Idle) -> bool:
        return idle.fit and trio.current_time() - idle.since < KEPT

    async def let_time_pass(self, which: int) -> None:
        self.clock.jump(JUMPS[which])

    async def release_and_let_time_pass(self, which: int) -> None:
        await self.release(0)
        await self.let_time_pass(which)

    async def release_and_cancel(self, which: int) -> None:
        """At the same moment: the place must not get lost between the two."""
        await self.release(which)
        await self.cancel(0)

    async def release_and_time_out(self, which: int) -> None:
        await self.release(which)
        await self.let_time_pass(2)

    # What has to come of them.

    async def settle(self) -> None:
        """Let everybody come to rest, and see who has what."""
        await trio.testing.wait_all_tasks_blocked()
        now = trio.current_time()
        for user in self.waiting:
            if user.state == "cancelled":
                assert user.scope.cancel_called
            elif user.state == "timed out":
                assert now - user.since > PATIENCE
            else:
                assert user.state in ("waits", "holds")
        for user in self.granted:
            self._is_the_right_one(user, await self._number_of(user))
        self.holding += self.granted
        self.granted.clear()
        self.waiting = [user for user in self.waiting if user.state == "waits"]
        assert len(self.holding) <= self.most
        assert self.server.has_at_most(self.most)
        if self.waiting:
            assert len(self.holding) == self.most, "there is a place, and somebody waits for it"
            assert all(now - user.since < PATIENCE for user in self.waiting)

    async def _number_of(self, user: User) -> int:
        assert user.connection is not None
        await user.connection.exchange(self.health)
        user.number = int(user.connection.machine.result.version)
        return user.number

    def _is_the_right_one(self, user: User, number: int) -> None:
        expected = None
        while self.idle and expected is None:
            idle = self.idle.pop()
            if self._is_good(idle):
                expected = idle.number
            else:
                assert self.server.has_ended(idle.number)  # what is passed over is ended
        if expected is None:
            assert number not in self.seen
        else:
            assert number == expected
        self.seen.add(number)

    async def end(self) -> None:
        """Every place has come back."""
        for user in self.waiting:
            user.scope.cancel()
        while self.holding:
            await self.release(0)
        await self.settle()
        for _ in range(self.most + 1):
            await self.acquire(0)
        await self.settle()
        assert (len(self.holding), len(self.waiting)) == (self.most, 1)
        self.waiting[0].scope.cancel()
        await self.settle()
        await self.release(0)

    async def close(self, crowd: int, turns: int) -> None:
        """So many may wait for a place then, or for a connection: they are told, and get none any more."""
        self.clock.jump(KEPT + 1)  # what is idle is no use any more
        for _ in range(crowd):
            await self.acquire(0)
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        granted = len(self.granted)
        self.pool.close()
        await trio.testing.wait_all_tasks_blocked()
        assert [user.state for user in self.waiting].count("told") == crowd - granted
        assert len(self.granted) == granted
        for user in self.holding + self.granted:
            self.pool.release(user.connection)  # type: ignore[arg-type]  # who holds has a connection
        assert self.server.has_at_most(0)


@given(st.integers(1, 3), st.lists(STEPS, max_size=20), st.integers(0, 4), st.integers(0, 9))
def test_the_pool(server: Any, most: int, steps: list[tuple[str, int]], crowd: int, turns: int) -> None:
    async def play() -> None:
        async with trio.open_nursery() as nursery:
            play = Play(server, most, clock, nursery)
            try:
                for name, which in steps:
                    await getattr(play, name)(which)
                    await play.settle()
                await play.end()
                await play.close(crowd, turns)
            finally:
                nursery.cancel_scope.cancel()
                play.pool.close()

    clock = trio.testing.MockClock()
    trio.run(play, clock=clock)

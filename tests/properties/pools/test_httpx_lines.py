"""The lines of synchronous exchanges: no more than may be, every place comes back, and no unfit connection is reused.

Whoever takes a line gets the one that was given back last; those that are too many or too old are closed.
"""

from __future__ import annotations

import select
import ssl
import time
from typing import Any

import httpx
import pytest
from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hestiaos_httpx.exchange import Exchange
from hestiaos_httpx.lines import Line, Lines
from hestiaos_proto import Config, Operation, Send, TimedOut, operations
from hestiaos_proto.deadline import Deadline

EXPIRY = 5.0
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without authorities, whose loading takes longer than all the rest
WHICH = st.integers(0, 9)


@define(eq=False)
class Known:
    """What the model knows of a line."""

    line: Line
    number: int | None = None  # of the connection that it keeps, as the server counts
    used: float = 0.0
    since: float = 0.0


class LinesMachine(RuleBasedStateMachine):
    def __init__(self, server: Any) -> None:
        super().__init__()
        self.server = server
        self.now = 1000.0
        # httpx and the lines have no other clock; the time passes for both when a rule says so.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(time, "monotonic", lambda: self.now)

    @initialize(most=st.sampled_from([1, 2, 3, None]), kept=st.sampled_from([None, 0, 1, 2]), expires=st.booleans())
    def begin(self, most: int | None, kept: int | None, expires: bool) -> None:
        self.most, self.kept, self.expiry = most, kept, EXPIRY if expires else None
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=kept, keepalive_expiry=self.expiry)
        self.lines = Lines(lambda: httpx.Client(limits=limits, verify=NO_TLS, trust_env=False), limits, shared=False)
        self.health = self._send(operations.health())
        self.run_stream = self._send(operations.run_stream("x"))
        self.taken: list[Known] = []
        self.spare: list[Known] = []  # the last is the first to be used
        self.seen: set[int] = set()

    def _send(self, operation: Operation[Any], timeout: float = 30.0) -> Send:
        return Send.of(operation, Config(base_url=self.server.url, timeout=timeout), Deadline.never())

    @property
    def full(self) -> bool:
        return len(self.taken) == self.most

    @precondition(lambda self: not self.full)
    @rule()
    def a_line_is_taken(self) -> None:
        line = self.lines.take(self.health)
        assert all(line is not known.line for known in self.taken)
        if self.spare:
            known = self.spare.pop()
            assert line is known.line
        else:
            known = Known(line)
        self.taken.append(known)

    @precondition(lambda self: self.full)
    @rule()
    def one_more_is_not_to_be_had(self) -> None:
        with pytest.raises(TimedOut, match="stayed in use for too long") as late:
            self.lines.take(self._send(operations.health(), timeout=0.001))
        assert not late.value.request_sent

    @precondition(lambda self: self.taken)
    @rule(which=WHICH)
    def a_line_is_used(self, which: int) -> None:
        known = self.taken[which % len(self.taken)]
        response = Exchange.begin(known.line, self.health).finish()
        number = int(operations.health().read(response).version)
        fresh = self.expiry is None or self.now - known.used <= self.expiry
        if known.number is not None and fresh:
            assert number == known.number
        else:
            assert number not in self.seen
        self.seen.add(number)
        known.number, known.used = (None if self.kept == 0 else number), self.now

    @precondition(lambda self: self.taken)
    @rule(which=WHICH)
    def a_line_is_left_in_the_middle(self, which: int) -> None:
        known = self.taken[which % len(self.taken)]
        exchange = Exchange.begin(known.line, self.run_stream)
        stream = exchange.response.stream
        assert stream is not None
        events = list(stream.events())
        while not events:
            assert exchange.receive()
            events = list(stream.events())
        exchange.close()
        number = events[0].data["connection"]
        assert self.server.has_ended(number)
        self.seen.add(number)
        known.number = None

    @rule(which=WHICH)
    def the_server_ends_a_connection(self, which: int) -> None:
        if lines := [known for known in [*self.taken, *self.spare] if known.number is not None]:
            known = lines[which % len(lines)]
            self.server.end(known.number)
            known.number = None

    @rule(which=WHICH)
    def the_server_speaks_out_of_turn(self, which: int) -> None:
        if lines := [known for known in [*self.taken, *self.spare] if known.number is not None]:
            known = lines[which % len(lines)]
            self.server.speak(known.number)
            select.select([known.line.network.get_extra_info("socket")], [], [])  # until it has arrived
            known.number = None

    @rule(seconds=st.sampled_from([3.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.taken)
    @rule(which=WHICH)
    def a_line_is_given_back(self, which: int) -> None:
        known = self.taken.pop(which % len(self.taken))
        self.lines.give_back(known.line)
        known.since = self.now
        self.spare.append(known)
        while self.spare and self._is_surplus(self.spare[0]):
            surplus = self.spare.pop(0)
            assert surplus.line.client.is_closed
            assert surplus.number is None or self.server.has_ended(surplus.number)
        assert not any(known.line.client.is_closed for known in [*self.spare, *self.taken])

    def _is_surplus(self, known: Known) -> bool:
        old = self.expiry is not None and self.now - known.since > self.expiry
        return old or (self.kept is not None and len(self.spare) > self.kept)

    @invariant()
    def there_are_no_more_connections_than_may_be(self) -> None:
        if self.most is not None:
            assert self.server.has_at_most(self.most)

    def teardown(self) -> None:
        try:
            if hasattr(self, "lines"):
                self._every_place_has_come_back()
        finally:
            self.patch.undo()

    def _every_place_has_come_back(self) -> None:
        try:
            while self.taken:
                self.a_line_is_given_back(0)
            for _ in range(self.most or 3):
                self.a_line_is_taken()
            if self.most is not None:
                self.one_more_is_not_to_be_had()
        finally:
            self.lines.close()
        assert self.server.has_at_most(0)


def test_the_lines(server: Any) -> None:
    fewer = settings().max_examples // 2  # a real connection takes its time
    run_state_machine_as_test(
        lambda: LinesMachine(server), settings=settings(max_examples=fewer, stateful_step_count=15)
    )

"""Connections that are cut because a script says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hestiaos import Client, ConnectionLost, StreamInterrupted
from hestiaos_local.testing import ScriptedPlatform


def test_a_connection_that_is_cut_before_the_response(start: Callable[..., str]) -> None:
    with ScriptedPlatform() as platform, Client(base_url=start(platform=platform), retries=0) as client:
        platform.cut()
        with pytest.raises(ConnectionLost):
            client.run("hi")
        platform.say("hello")
        assert client.run("hi").result == "hello"


def test_a_connection_that_is_cut_in_a_stream(start: Callable[..., str]) -> None:
    with ScriptedPlatform() as platform, Client(base_url=start(platform=platform), retries=0) as client:
        platform.cut(after="a b ")
        with pytest.raises(StreamInterrupted) as cut:
            list(client.run_stream("hi"))
        assert cut.value.events_received == 3

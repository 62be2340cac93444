"""vcrpy, which records through `HTTPTransport.handle_request` and plays its cassettes there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hestiaos import GovernanceBlock
from tests.support.over_httpx import GOOD_TYPES, Way, use, ways
from tests.support.peer import Peer
from tests.support.sessions import KEY
from tests.support.steps import send
from tests.support.wire import response

vcr = pytest.importorskip("vcr")

pytestmark = pytest.mark.parametrize("way", ways(None, "httpx", "httpx2"))


def cassette(folder: Path) -> Any:
    return vcr.use_cassette(str(folder / "cassette.yaml"), filter_headers=["authorization"])


def test_a_call_and_a_stream(way: Way, tmp_path: Path) -> None:
    with Peer() as peer, cassette(tmp_path) as recorded, way.open(peer.url) as session:
        assert use(session) == ("r", GOOD_TYPES)
        assert len(recorded) == len(peer.requests) == 2
    assert KEY not in (tmp_path / "cassette.yaml").read_text()
    with cassette(tmp_path) as played, way.open(peer.url) as session:  # whose server has gone
        assert use(session) == ("r", GOOD_TYPES)
        assert played.play_count == 2


def test_a_refusal(way: Way, tmp_path: Path) -> None:
    with Peer([send(response(403, b'{"trace_id": "t"}'))]) as peer:
        for _ in ("recorded", "played"):
            with cassette(tmp_path), way.open(peer.url) as session, pytest.raises(GovernanceBlock) as caught:
                session.call("run", "x")
            assert caught.value.trace_id == "t"
        assert len(peer.requests) == 1

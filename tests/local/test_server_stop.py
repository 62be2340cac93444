"""How a server ends."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hestiaos_local import Store
from hestiaos_proto import ServerRequest
from tests.support.raw_client import RUN, RawClient, post
from tests.support.watched_platforms import Occupied


def test_a_server_that_stops_cuts_its_streams(serve_platform: Any, backend: str) -> None:
    url = serve_platform(backend=backend, token_delay=3600.0)
    with RawClient(url) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        assert peer.head()[0] == 200
        assert b'"start"' in peer.chunk()
        serve_platform.stop(url)
        assert peer.at_end()  # without the last chunk
    with pytest.raises(ConnectionRefusedError):
        RawClient(url)


def test_a_server_that_stops_finishes_what_it_executes(serve_platform: Any, backend: str, tmp_path: Path) -> None:
    with Occupied(Store(tmp_path / "store.db")) as platform:
        url = serve_platform(platform=platform, backend=backend)
        with RawClient(url) as peer:
            peer.send(post("/api/v1/run", RUN))
            assert platform.began.wait(20)
            stopping = threading.Thread(target=serve_platform.stop, args=(url,))
            stopping.start()
            platform.go_on.set()
            stopping.join(20)
        status = platform.answer(ServerRequest("governance_status", {}, {}))
        assert isinstance(status, dict)
        assert status["decisions"]["ALLOW"] == 1

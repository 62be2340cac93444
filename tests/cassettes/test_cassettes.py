"""The file of a cassette, and what a client says about one."""

from __future__ import annotations

import copy
import gzip
import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from hestiaos import Cassette, Client, ConnectFailed, Hooks, LocalProtocolError, TimedOut
from tests.support.cassettes import recorded_pieces
from tests.support.peer import Peer
from tests.support.steps import pause, send
from tests.support.wire import HEALTH, STREAM_HEAD, chunk, events, ok

START, TOKEN = {"type": "start", "data": {}}, {"type": "token", "data": {"text": "a"}}


def health(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=HEALTH)


def record(path: Path, calls: int = 1) -> None:
    transport = httpx.MockTransport(health)
    with Cassette(path, record=True) as cassette, Client(transport=transport, cassette=cassette) as client:
        for _ in range(calls):
            client.health()


def test_nothing_is_written_before_the_end_and_then_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "c.jsonl"
    with Cassette(path, record=True) as cassette:
        Client(transport=httpx.MockTransport(health), cassette=cassette).health()
        assert not path.parent.exists()
    assert [each.name for each in path.parent.iterdir()] == ["c.jsonl"]
    assert len(path.read_bytes().splitlines()) == 5


def test_a_recording_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.mkdir()
    with pytest.raises(OSError, match=r"c\.jsonl"):
        record(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_cassette_that_is_not_there_or_not_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Cassette(tmp_path / "c.jsonl")
    (tmp_path / "c.jsonl").write_text("nothing")
    with pytest.raises(ValueError, match=r"c.jsonl is not a cassette: line 1"):
        Cassette(tmp_path / "c.jsonl")


@pytest.mark.parametrize("pace", [-1, float("nan"), float("inf")])
def test_a_pace_that_cannot_be(tmp_path: Path, pace: float) -> None:
    record(tmp_path / "c.jsonl")
    with pytest.raises(ValueError, match="pace must be 0 or more"):
        Cassette(tmp_path / "c.jsonl", pace=pace)


@pytest.mark.parametrize("given", ["c.jsonl", Cassette, httpx.MockTransport(health)])
def test_what_is_not_a_cassette_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="cassette must be a Cassette or None"):
        Client(cassette=given)


def test_a_cassette_is_not_copied(tmp_path: Path) -> None:
    cassette = Cassette(tmp_path / "c.jsonl", record=True)
    for copied in (copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match="a cassette cannot be copied or pickled"):
            copied(cassette)
    with pytest.raises(TypeError, match=r"a client with cassette=Cassette\(…\) cannot be copied"):
        copy.copy(Client(cassette=cassette))
    assert repr(cassette) == f"Cassette({str(tmp_path / 'c.jsonl')!r}, record=True)"


def test_importing_the_sdk_does_not_load_it() -> None:
    script = "import hestiaos, sys; print('hestiaos.cassettes' in sys.modules, hestiaos.Cassette.__name__)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).split() == ["False", "Cassette"]


def test_what_is_left_is_a_problem(tmp_path: Path) -> None:
    record(tmp_path / "c.jsonl", calls=2)
    cassette = Cassette(tmp_path / "c.jsonl")
    Client(cassette=cassette).health()
    assert cassette.problems() == ["c.jsonl has exchanges that were not requested: GET /api/v1/health"]


def test_each_exchange_is_replayed_once_to_many_threads(tmp_path: Path) -> None:
    record(tmp_path / "c.jsonl", calls=20)
    cassette = Cassette(tmp_path / "c.jsonl")
    results: list[Any] = []

    def ask() -> None:
        with Client(cassette=cassette) as client:
            for _ in range(5):
                try:
                    results.append(client.health().status)
                except LocalProtocolError as error:
                    results.append(error.code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["NOT_RECORDED"] * 20 + ["ok"] * 20


def test_a_compressed_body_is_recorded_in_clear(tmp_path: Path) -> None:
    """A secret cannot be seen in a compressed one."""
    path, body = tmp_path / "c.jsonl", json.dumps(HEALTH | {"version": "secret-4711"}).encode()

    def compressed(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=gzip.compress(body), headers={"Content-Encoding": "gzip"})

    with Cassette(path, record=True, secrets=["secret-4711"]) as cassette:
        client = Client(transport=httpx.MockTransport(compressed), cassette=cassette)
        assert client.health().version == "secret-4711"
    assert b"".join(recorded_pieces(path)) == body.replace(b"secret-4711", b"***")
    assert Client(cassette=Cassette(path)).health().version == "***"


def test_hooks_are_called_by_a_replay(tmp_path: Path) -> None:
    record(tmp_path / "c.jsonl")
    noted: list[Any] = []
    hooks = Hooks(
        on_request=lambda call, request: noted.append(request.method),
        on_response=lambda call, response: noted.append(response.status),
        on_call_end=lambda call, error: noted.append(error),
    )
    Client(cassette=Cassette(tmp_path / "c.jsonl"), hooks=hooks).health()
    assert noted == ["GET", 200, None]


def test_a_connection_that_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with (
        Cassette(path, record=True) as cassette,
        Client("http://127.0.0.1:1", cassette=cassette, retries=1) as client,
        pytest.raises(ConnectFailed) as recorded,
    ):
        client.run("hello", retries=1)
    cassette = Cassette(path)
    with Client(cassette=cassette) as client, pytest.raises(ConnectFailed) as replayed:
        client.run("hello", retries=1)
    assert (str(replayed.value), replayed.value.request_sent) == (str(recorded.value), False)
    assert cassette.problems() == []


def test_a_stream_that_was_left_ends_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    script = [send(STREAM_HEAD + chunk(events(START))), send(chunk(events(TOKEN))), pause(10)]
    with (
        Peer(script) as peer,
        Cassette(path, record=True) as cassette,
        Client(peer.url, cassette=cassette) as client,
        client.run_stream("hello") as stream,
    ):
        assert [next(stream).type, next(stream).type] == ["start", "token"]
    with Client(cassette=Cassette(path)).run_stream("hello") as stream:
        assert [next(stream).type, next(stream).type] == ["start", "token"]
        with pytest.raises(LocalProtocolError, match="its client left the response") as caught:
            next(stream)
    assert caught.value.code == "NOT_RECORDED"


def test_a_recorded_silence_ends_at_the_deadline(tmp_path: Path) -> None:
    """At the recorded pace the call would take an hour."""
    path = tmp_path / "c.jsonl"
    record(path)
    path.write_text(path.read_text().replace('"after":0.', '"after":3600.'))
    with Client(cassette=Cassette(path, pace=1.0)) as client, pytest.raises(TimedOut, match="deadline"):
        client.health(deadline=0.05, retries=0)


def test_pauses_before_repeats_have_the_pace_of_the_replay(tmp_path: Path) -> None:
    """At once, an hour of a recorded pause takes no time."""
    path = tmp_path / "c.jsonl"
    busy = httpx.Response(503, headers={"Retry-After": "0"})
    responses = [busy, httpx.Response(200, json=HEALTH)]
    with Cassette(path, record=True) as cassette:
        Client(transport=httpx.MockTransport(lambda request: responses.pop(0)), cassette=cassette).health()
    path.write_text(path.read_text().replace('"retry-after":"0"', '"retry-after":"55"'))
    assert Client(cassette=Cassette(path)).health().status == "ok"


def test_a_run_inside_an_own_path_is_found_at_another(tmp_path: Path) -> None:
    """The base URL's path is not recorded."""
    path = tmp_path / "c.jsonl"
    with Peer([send(ok(HEALTH))]) as peer, Cassette(path, record=True) as cassette:
        Client(f"{peer.url}/gateway", cassette=cassette).health()
    assert Client("http://127.0.0.1:1", cassette=Cassette(path)).health().status == "ok"

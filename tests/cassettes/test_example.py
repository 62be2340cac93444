"""The example: a stream of a real model server, replayed over every binding."""

from __future__ import annotations

import subprocess
import sys

import pytest

from examples.replay import CASSETTE
from hestiaos import Cassette
from tests.support.bindings import BINDINGS, params
from tests.support.cassettes import Watched, recorded_pieces
from tests.support.sessions import Session

TEXT = "Embers hum at dusk, and the hearth keeps its counsel."


@pytest.mark.parametrize("binding", params(BINDINGS))
def test_a_stream_of_a_real_model_server(binding: type[Session]) -> None:
    pieces: list[bytes | None] = []
    with binding("http://127.0.0.1:1", cassette=Watched(Cassette(CASSETTE), pieces.append)) as session:
        stream = session.stream("Write a haiku about a hearth.")
        events, error = stream.read()
        assert (stream.native.text, error) == (TEXT, None)
    assert list(filter(None, pieces)) == recorded_pieces(CASSETTE)
    assert [event.type for event in events] == ["start", *["token"] * 47, "final", "done"]


def test_the_program() -> None:
    program = CASSETTE.parent.parent / "replay.py"
    assert subprocess.check_output([sys.executable, str(program)], text=True) == f"{TEXT}\n"

"""No key and no secret gets into a `repr`, an exception or its cause."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanging import (
    STREAM_HEAD,
    asked,
    chunks,
    fails,
    listening,
    response,
)

from hestiaos_proto import (
    ClientConnection,
    Operation,
    operations,
)


class TestSecrecy:
    KEY = "k-hunter2"

    def test_repr(self) -> None:
        connection = ClientConnection("http://h", self.KEY)
        seen = [repr(connection)]
        connection.send(operations.set_secret("n", "v-hunter2"))
        seen.append(repr(connection))
        connection.receive_data(b"")
        seen.append(repr(connection))
        assert seen == [f"ClientConnection('http://h', {state})" for state in ("IDLE", "WAITING", "ERROR")]

    @pytest.mark.parametrize("operation", [operations.health(), operations.run_stream("x")], ids=lambda o: o.name)
    def test_a_secret_that_the_server_echoes_is_masked(self, operation: Operation[Any]) -> None:
        for status in ("200 OK", "401 No"):
            connection = asked(operation, api_key=self.KEY)
            body = json.dumps({"message": f"bad key {self.KEY}", "status": self.KEY}).encode()
            _, error = fails(connection, response(body, status=status))
            assert self.KEY not in f"{error} {error!r} {vars(error)} {connection!r}"

    def test_a_payload_that_repeats_it(self) -> None:
        connection = listening(api_key=self.KEY)
        _, error = fails(connection, STREAM_HEAD + chunks(b"data: " + self.KEY.encode() + b"\n\n"))
        assert "***" in str(error)
        assert self.KEY not in str(error)

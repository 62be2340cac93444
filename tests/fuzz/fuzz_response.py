"""`ResponseReader`: any bytes, cut anyhow, are read as h11 alone reads them, and without it only as llhttp does too."""

from __future__ import annotations

from cutting import Way, choose

from hestiaos_proto import operations
from tests.support.exchanges import watch
from tests.support.response_readers import check as check_reading

__all__ = ["check"]

_OPERATIONS = (operations.health(), operations.run_stream("x"), operations.run("x"), operations.governance_trace("c"))


def check(data: bytes) -> None:
    options, way, body, pieces = choose(data)
    if way is not Way.BYTE_BY_BYTE:  # a head is plain only if it comes whole
        end = body.find(b"\r\n\r\n") + 4
        pieces = [*filter(None, [body[:end]]), *choose(data[:3] + body[end:])[3]]
    if way is not Way.MEASURED:
        check_reading([*pieces, b""])
        return
    exchange = [(_OPERATIONS[options % len(_OPERATIONS)], pieces)]
    assert watch(exchange, by_h11=False) == watch(exchange, by_h11=True)

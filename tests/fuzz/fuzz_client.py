"""`ClientConnection`: any bytes, cut anyhow, give the same events and the same result or kind of exception."""

from __future__ import annotations

from functools import partial
from typing import Any

from cutting import KEY, Way, choose, discreet, held, whole

from hestiaos_proto import ClientConnection, Config, HestiaError, Operation, RunStream, StatusError, operations
from hestiaos_proto._models import Model

__all__ = ["check"]

_OPERATIONS: tuple[Operation[Any], ...] = (  # four bits of the options choose one
    operations.run_stream("x"),
    operations.run("x"),
    operations.health(),
    operations.trace("t"),
    operations.chat("x"),
    operations.run_agent("a", "x"),
    operations.system_status(),
    operations.system_config(),
    operations.system_metrics(),
    operations.get_secret("k"),
    operations.set_secret("k", KEY),
    operations.delete_secret("k"),
    operations.explain("WRITE"),
    operations.governance_status(),
    operations.governance_trace("c"),
    operations.run_stream("y"),
)
_LENIENT = 0x10
_SMALL = 0x20
_SMALL_SIZES = partial(Config, max_body_size=512, max_event_size=128)
_CONFIGS = {
    0: Config(api_key=KEY),
    _LENIENT: Config(api_key=KEY, strict=False),
    _SMALL: _SMALL_SIZES(api_key=KEY),
    _LENIENT | _SMALL: _SMALL_SIZES(api_key=KEY, strict=False),
}


def check(data: bytes) -> None:
    options, way, body, pieces = choose(data)
    operation = _OPERATIONS[options & 0x0F]
    config = _CONFIGS[options & (_LENIENT | _SMALL)]
    if way is Way.CUT_AGAIN:
        _keep_alive(pieces, config)
        return
    reading = _read(whole(body), operation, config)
    assert _read(pieces, operation, config, measured=way is Way.MEASURED) == reading, "another cut, another reading"


def _read(pieces: list[bytes], operation: Operation[Any], config: Config, *, measured: bool = False) -> tuple[Any, ...]:
    connection = ClientConnection(config=config)
    connection.send(operation)
    events: list[Any] = []
    fault: tuple[Any, ...] | None = None
    for piece in [*pieces, b""]:
        connection.receive_data(piece)
        now = _collect(connection, events)
        assert fault in (None, now), "the fault did not stay"
        fault = now
    assert connection.finished
    assert not connection.reusable
    if measured:
        # The events, the body, and what h11 keeps of what has come; the rest are the names in the objects.
        received = sum(map(len, pieces))
        assert held(connection) <= 10 * config.max_event_size + 2 * config.max_body_size + 2 * received + 10_000
    try:
        result = connection.result(operation)
    except HestiaError as error:
        refused: tuple[Any, ...] | None = _described(discreet(error))
    else:
        if isinstance(result, RunStream):
            return events, fault, result.text, result.final
        refused = None
        events.append(result.to_wire() if isinstance(result, Model) else result)
    assert refused == fault, "events and result say different things"
    return events, fault


def _collect(connection: ClientConnection, events: list[Any]) -> tuple[Any, ...] | None:
    """Take the events there are, and give the errors after them."""
    try:
        for event in connection.events():
            events.append(event)
    except HestiaError as error:
        return _described(discreet(error))
    return None


def _described(error: HestiaError) -> tuple[Any, ...]:
    """What does not depend on where h11 was when it saw that something is wrong."""
    if isinstance(error, StatusError):
        return type(error), vars(error)
    return (type(error),)


def _keep_alive(pieces: list[bytes], config: Config) -> None:
    """One operation after another on the same connection, as long as it can be used."""
    connection = ClientConnection(config=config)
    for number, piece in enumerate([*pieces, b""]):
        if connection.reusable:
            connection.send(_OPERATIONS[number % len(_OPERATIONS)])
        connection.receive_data(piece)
        try:
            for _ in connection.events():
                pass
        except HestiaError as error:
            discreet(error)
    assert connection.finished

"""What a caller sees of exchanges over a `ClientConnection`, with h11 and without."""

from __future__ import annotations

from typing import Any

from hestiaos_proto import ClientConnection, Config, HestiaError, Operation, RunStream, operations

__all__ = ["result_of", "watch"]


def description(error: BaseException | None) -> list[object]:
    """What is said of an error, its causes included."""
    if error is None:
        return []
    text = str(error)
    if "malformed chunk footer" in text:  # h11's words for it quote what is there
        text = text.partition("malformed chunk footer")[0] + "a chunk does not have the size that it declares"
    return [type(error), text, *description(error.__cause__)]


def result_of(connection: ClientConnection) -> Any:
    """What the operation that was sent last came to, whichever that was."""
    send = connection._send
    return connection.result(operations.health() if send is None else send.operation)


def look(connection: ClientConnection) -> list[object]:
    """All that a caller can see."""
    seen: list[object] = []
    try:
        seen += connection.events()
    except HestiaError as error:
        seen += description(error)
    try:
        result = result_of(connection)
        seen.append([result.text, result.final] if isinstance(result, RunStream) else result)
    except HestiaError as error:
        seen += description(error)
    try:
        response = connection.response
    except HestiaError as error:
        seen += description(error)
    else:
        if response is not None:
            seen += [response.status, response.headers, response.body if connection.finished else None]
    return [*seen, connection.state, connection.finished, connection.answered, connection.reusable]


def watch(exchanges: list[tuple[Operation[Any], list[bytes]]], *, by_h11: bool) -> list[list[object]]:
    """What a caller sees after each read, one operation after another."""
    # A request with a header of this name is h11's, and so is its response.
    headers = {"Connection": "keep-alive"} if by_h11 else {}
    connection = ClientConnection(config=Config(max_body_size=100, headers=headers))
    seen = []
    for operation, pieces in exchanges:
        if not connection.reusable:
            break
        connection.send(operation)
        assert connection._reader is not None
        assert (connection._reader._h11 is not None) is by_h11
        for piece in pieces:
            connection.receive_data(piece)
            seen.append(look(connection))
    if connection.state.name != "CLOSED":
        connection.receive_data(b"")
        seen.append(look(connection))
    return seen

"""A cassette's text: JSON lines, an exchange after another.

    {"cassette": "hestiaos", "version": 1}
    {"request": {"method": "POST", "path": "/api/v1/run/stream", "body": {"input": "hello", …}}}
    {"response": {"status": 200, "headers": {"content-type": "text/event-stream", …}}, "after": 0.0031}
    {"data": "event: start\\ndata: {…}\\n\\n", "after": 0.0}
    {"end": "complete", "after": 0.0004}

Each `data` is a piece of the body as it arrived, decompressed; one that is not UTF-8 is a `base64`. `after` is the time
since the line before, in seconds. Instead of a response, or of its end, there is what went wrong:

    {"end": "ConnectionLost", "message": "…", "request_sent": true, "stale": false, "after": 0.0}

An exchange that its client left, because it closed the stream or was cancelled, ends with `{"end": "left"}`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from hestiaos_proto import ConnectFailed, ConnectionLost, HestiaError, RemoteProtocolError, TimedOut, json

__all__ = ["FAULTS", "End", "Exchange", "Piece", "RecordedRequest", "encode", "parse"]

_FIRST = {"cassette": "hestiaos", "version": 1}

FAULTS = {fault.__name__: fault for fault in (ConnectFailed, ConnectionLost, TimedOut, RemoteProtocolError)}
"""What can end an exchange, by name."""

_FLAGS = ("request_sent", "stale")


@frozen
class RecordedRequest:
    """A request without its headers, among which is the key. `body` is its JSON value, `None` if there is none."""

    method: str
    path: str
    body: Any = None

    def __str__(self) -> str:
        body = "" if self.body is None else f" {json.dumps(self.body, sort_keys=True).decode()}"
        return f"{self.method} {self.path}{body}"


@frozen
class Piece:
    """A piece of a body, which arrived `after` this many seconds."""

    after: float
    data: bytes


@frozen
class End:
    """The end of an exchange: `complete`, `left`, or the name of one of the `FAULTS`."""

    kind: str
    after: float = 0.0
    message: str = ""
    flags: Mapping[str, bool] = field(factory=dict)

    @classmethod
    def of(cls, error: HestiaError, after: float) -> End:
        """Create the end by a fault. A fault not of the network is the client's: it was closed, or used wrongly."""
        kind = next((name for name, fault in FAULTS.items() if isinstance(error, fault)), None)
        if kind is None:
            return cls("left", after)
        return cls(kind, after, error.message, {name: getattr(error, name) for name in _FLAGS if hasattr(error, name)})

    def error(self) -> HestiaError:
        """Return the fault as the binding raised it."""
        error = FAULTS[self.kind](self.message)
        for name, value in self.flags.items():
            setattr(error, name, value)
        return error


@define
class Exchange:
    """A request, and its response. `status` is `None` without a response."""

    request: RecordedRequest
    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict)
    after: float = 0.0
    pieces: list[Piece] = field(factory=list)
    end: End = End("left")


def encode(exchanges: Iterable[Exchange]) -> bytes:
    """Encode the text of a cassette."""
    return b"".join(json.dumps(line) + b"\n" for line in (_FIRST, *_lines(exchanges)))


def parse(text: bytes) -> list[Exchange]:
    """Parse the exchanges of a cassette. Raises `ValueError` with the line number if the text is not a cassette."""
    exchanges: list[Exchange] = []
    ended = True
    for number, line in enumerate(text.splitlines(), 1):
        try:
            value = json.loads(line)
            if number == 1:
                if value != _FIRST:
                    raise ValueError(f"the first line of a cassette is {json.dumps(_FIRST).decode()}")
            elif ended:
                exchanges.append(Exchange(RecordedRequest(**value["request"])))
                ended = False
            else:
                ended = _read_line(exchanges[-1], value)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"line {number} is not that of a cassette: {error!r}") from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if not ended or not text:
        raise ValueError("the end of the cassette is missing")
    return exchanges


def _lines(exchanges: Iterable[Exchange]) -> Iterator[dict[str, Any]]:
    for each in exchanges:
        request = {"method": each.request.method, "path": each.request.path}
        yield {"request": request if each.request.body is None else request | {"body": each.request.body}}
        if each.status is not None:
            head = {"status": each.status, "headers": dict(each.headers)}
            yield {"response": head, "after": _rounded(each.after)}
        for piece in each.pieces:
            yield {**_encode_data(piece.data), "after": _rounded(piece.after)}
        message = {"message": each.end.message} if each.end.message else {}
        yield {"end": each.end.kind, **message, **each.end.flags, "after": _rounded(each.end.after)}


def _read_line(exchange: Exchange, line: dict[str, Any]) -> bool:
    """Add a line to an exchange. Returns whether it was the last."""
    after = float(line.pop("after", 0.0))
    if after < 0:
        raise ValueError(f"after must be a number of seconds, 0 or more, not {after}")
    if "end" in line:
        exchange.end = _read_end(line, after)
        if exchange.status is None and exchange.end.kind == "complete":
            raise ValueError("a response is missing")
        return True
    if "response" in line:
        head = line["response"]
        exchange.status, exchange.headers, exchange.after = _read_status(head["status"]), dict(head["headers"]), after
        for text in (*exchange.headers, *exchange.headers.values()):
            text.encode("latin-1")  # as it is on the wire
    elif exchange.status is None:
        raise ValueError("a response is missing")
    else:
        data = b64decode(line["base64"], validate=True) if "base64" in line else line["data"].encode()
        exchange.pieces.append(Piece(after, data))
    return False


def _read_end(line: dict[str, Any], after: float) -> End:
    kind = line.pop("end")
    if kind not in {"complete", "left", *FAULTS}:
        raise ValueError(f"an exchange does not end with {kind!r}")
    message = line.pop("message", "")
    if not isinstance(message, str) or not all(name in _FLAGS and type(line[name]) is bool for name in line):
        raise ValueError(f"an end has a message, a text, and {' and '.join(_FLAGS)}, each true or false")
    return End(kind, after, message, line)


def _read_status(value: Any) -> int:
    if type(value) is not int or not 100 <= value <= 999:
        raise ValueError(f"a status is a number of three digits, not {value!r}")
    return value


def _encode_data(data: bytes) -> dict[str, str]:
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _rounded(seconds: float) -> float:
    return round(seconds, 6)

"""`CompletionStream` and plain completions: any bytes, cut anyhow, give the same outputs and the same `StatusError`."""

from __future__ import annotations

from typing import Any

from cutting import KEY, Way, choose, held, whole

from hestiaos_local.execution import Finish, Output, Text, ToolCall, Usage
from hestiaos_local.openai import ChunkEncoder, CompletionStream, completion_outputs, encode_completion
from hestiaos_proto import Redactor, StatusError

__all__ = ["check"]

_PLAIN = 0x01
_SIZES = (1 << 20, 256, 48, 16)  # of the largest chunk, in bytes; two bits of the options choose one
_ORDER = (Text, ToolCall, Usage, Finish)

_Reading = tuple[list[Output], StatusError | None]


def check(data: bytes) -> None:
    options, way, body, pieces = choose(data)
    if options & _PLAIN:
        outputs, error = _read_plain(body)
    else:
        outputs, error = _read(whole(body), options)
        again, same_error = _read(pieces, options, measured=way is Way.MEASURED)
        assert (again, _described(same_error)) == (outputs, _described(error)), "another cut, another reading"
    order = [_ORDER.index(type(output)) for output in outputs]
    assert order == sorted(order)
    assert (order[-1:] == [3]) == (error is None)
    if error is None:
        _write_and_read(outputs)


def _read(pieces: list[bytes], options: int, *, measured: bool = False) -> _Reading:
    size = _SIZES[options >> 2 & 3]
    machine = CompletionStream(redactor=Redactor(KEY), max_chunk_size=size)
    outputs: list[Output] = []
    received = 0
    for piece in [*pieces, b""]:
        machine.receive_data(piece)
        received += len(piece)
        try:
            for output in machine.events():
                outputs.append(output)
        except StatusError as error:
            _stays(machine, error)
            return outputs, _discreet(error)
        # A line, an event and what is gathered of tool calls, whose objects count too.
        assert not measured or held(machine) <= 5 * size + 40 * received + 2000
    return outputs, None


def _read_plain(body: bytes) -> _Reading:
    outputs: list[Output] = []
    try:
        for output in completion_outputs(body, redactor=Redactor(KEY)):
            outputs.append(output)
    except StatusError as error:
        return outputs, _discreet(error)
    return outputs, None


def _stays(machine: CompletionStream, fault: StatusError) -> None:
    machine.receive_data(b"data: [DONE]\n\n")
    again = None
    try:
        for _ in machine.events():
            raise AssertionError("an output came after the fault")
    except StatusError as error:
        again = error
    assert again is fault, "the fault did not stay"


def _discreet(error: StatusError) -> StatusError:
    texts = (str(error), repr(error), repr(error.details), repr(error.body))
    assert not any(KEY in text for text in texts), "the exception names the key"
    return error


def _described(error: StatusError | None) -> Any:
    return None if error is None else (type(error), vars(error))


def _write_and_read(outputs: list[Output]) -> None:
    """What was read can be sent on, and is read as the same again."""
    encoder = ChunkEncoder(id="i", model="m", created=1, include_usage=True)
    machine = CompletionStream()
    machine.receive_data(encoder.start() + b"".join(map(encoder.send, outputs)))
    assert list(machine.events()) == outputs
    body = encode_completion(outputs, id="i", model="m", created=1)
    others = [output for output in completion_outputs(body) if not isinstance(output, Text)]
    assert others == [output for output in outputs if not isinstance(output, Text)]

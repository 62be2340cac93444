"""What different decoders of event streams make of the same bytes.

Usage: python comparison.py CASE    (bom, invalid-utf8, blank-id, retry, cut)

The peers come with `pip install -e '.[bench]'`; one that is not installed is left out.
"""

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

START = b'data: {"type": "start"}\n\n'
REST = b'data: {"type": "final"}\n\ndata: {"type": "done"}\n\n'
CASES = {
    "bom": b"\xef\xbb\xbf" + START + REST,
    "invalid-utf8": b'data: {"type": "start", "data": {"text": "\xff"}}\n\n' + REST,
    "blank-id": b"id: 1\n\n" + START + REST,
    "retry": b"retry: -5\n" + START + REST,
    "cut": START + b'data: {"type": "token", "data": {"te',
}


def hestiaos(data: bytes) -> Iterator[str]:
    from hestiaos_proto import RunStream

    stream = RunStream()
    stream.receive_data(data)
    stream.receive_data(b"")
    for event in stream.events():
        yield f"{event.type} {event.data or ''}".strip()


def httpx_sse(data: bytes) -> Iterator[str]:
    httpx, sse = import_module("httpx"), import_module("httpx_sse")
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=data)
    for event in sse.EventSource(response).iter_sse():
        yield _read(event.data, event.retry)


def sseclient(data: bytes) -> Iterator[str]:
    for event in import_module("sseclient").SSEClient(iter([data])).events():
        yield _read(event.data, event.retry)


def openai(data: bytes) -> Iterator[str]:
    for event in import_module("openai._streaming").SSEDecoder().iter_bytes(iter([data])):
        yield _read(event.data, event.retry)


def anthropic(data: bytes) -> Iterator[str]:
    for event in import_module("anthropic._streaming").SSEDecoder().iter_bytes(iter([data])):
        yield _read(event.data, event.retry)


def _read(data: str, retry: int | None) -> str:
    read: Any = json.loads(data) if data else "an event without data"
    shown = f"{read.pop('type')} {read.get('data', '')}".strip() if isinstance(read, dict) else read
    return shown if retry is None else f"{shown}, retry {retry}"


def outcome(decoder: Callable[[bytes], Iterator[str]], data: bytes) -> str:
    """The events that it gives, and how it ends."""
    given: list[str] = []
    try:
        for event in decoder(data):
            given.append(event)  # one at a time: those before an exception are kept
    except ModuleNotFoundError:
        return "not installed"
    except Exception as error:  # whatever a decoder raises is what is shown
        given.append(type(error).__name__)
    return "; ".join(given) or "nothing"


def main(case: str) -> None:
    for decoder in (hestiaos, httpx_sse, sseclient, openai, anthropic):
        print(f"{decoder.__name__:10} {outcome(decoder, CASES[case])}")


main(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))

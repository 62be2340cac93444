"""openai's client. It reads events of its own API, of the same size as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openai import OpenAI
from openai._streaming import SSEDecoder

from benchmarks.recording import pieces


@contextmanager
def decode(events: int, piece: int) -> Iterator[Callable[[], int]]:
    """Bytes to dicts, by its decoder and its reading of JSON; the models that its stream makes of them are spared."""
    data = pieces(events, piece)

    def work() -> int:
        count = 0
        for event in SSEDecoder().iter_bytes(iter(data)):
            event.json()
            count += 1
        return count

    yield work


@contextmanager
def stream(url: str, events: int) -> Iterator[Callable[[], int]]:
    """A stream's models."""
    with OpenAI(base_url=f"{url}/v1", api_key="none") as client:

        def work() -> int:
            count, text = 0, f"{events} events"
            for _ in client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": text}], stream=True
            ):
                count += 1
            return count

        yield work


@contextmanager
def request(url: str, count: int) -> Iterator[Callable[[], int]]:
    """A request's model."""
    with OpenAI(base_url=f"{url}/v1", api_key="none") as client:

        def work() -> int:
            text = "create a report"
            for _ in range(count):
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
            return count

        yield work

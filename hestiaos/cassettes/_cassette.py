"""A cassette as a file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Self

from hestiaos.cassettes._format import encode, parse
from hestiaos.cassettes._matching import excerpt
from hestiaos.cassettes._player import Player
from hestiaos.cassettes._recorder import Recorder
from hestiaos_proto import CallFlow, Response, Send

__all__ = ["Cassette"]


class Cassette:
    """Recorded traffic in the file `path`, for `cassette=` of any client: it is replayed, or, with `record`, recorded.

    A recording holds each request's method, path and JSON, and each response in the pieces in which it arrived, with
    the time between them. It is kept in memory, and written by `close`, or at the end of a `with` block, in place of an
    older one. No header of a request is written. The API key, the secrets that are set or fetched, and what is in
    `secrets`, are `***`.

    A replay needs no network. Each request gets the first recorded exchange that fits it and was not used: the same
    method, path and query, and the same JSON; headers are not compared, and `***` is any text. Pieces, refusals, faults
    and cuts come as they were recorded, after `pace` times the recorded time: 0 is at once, 1 is the recorded pace. A
    request that does not fit raises `LocalProtocolError`, with the code `NOT_RECORDED`, and the nearest that was left.

    Raises `OSError` if the file cannot be read, `ValueError` if it is not a cassette or `pace` is not a number of
    0 or more.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        record: bool = False,
        pace: float = 0.0,
        secrets: Iterable[str] = (),
    ) -> None:
        self._path = Path(path)
        if not 0 <= pace < inf:
            raise ValueError(f"pace must be 0 or more: 0 is at once, 1 the recorded pace, not {pace}")
        self._recorder = Recorder(time.monotonic, secrets) if record else None
        self._player = Player((), pace, self._path.name)
        if not record:
            try:
                self._player = Player(parse(self._path.read_bytes()), pace, self._path.name)
            except ValueError as error:
                raise ValueError(f"{self._path} is not a cassette: {error}") from error

    def __repr__(self) -> str:
        return f"Cassette({str(self._path)!r}, record={self.records})"

    def __reduce__(self) -> str:
        raise TypeError("a cassette cannot be copied or pickled: two copies would record or use up the same exchanges")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def records(self) -> bool:
        """Whether it is being recorded."""
        return self._recorder is not None

    def exchange(self, send: Send, /) -> CallFlow[Response]:
        """See `hestiaos_proto.Interceptor.exchange`, which a client calls."""
        return (self._recorder or self._player).exchange(send)

    def pause(self, seconds: float, /) -> float:
        """See `hestiaos_proto.Interceptor.pause`."""
        return (self._recorder or self._player).pause(seconds)

    def problems(self) -> list[str]:
        """The mismatches so far: requests that were not recorded, and exchanges that were not used."""
        unused = self._player.unused
        if not unused:
            return list(self._player.refusals)
        shown = ", ".join(map(excerpt, unused))
        return [*self._player.refusals, f"{self._path.name} has exchanges that were not requested: {shown}"]

    def close(self) -> None:
        """Write what was recorded so far; the directory is made if it is missing. Raises `OSError`.

        After a replay it does nothing.
        """
        if self._recorder is None:
            return
        text = encode(self._recorder.exchanges())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            unfinished.write_bytes(text)
            unfinished.replace(self._path)  # at once, so that no reader sees half of it
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

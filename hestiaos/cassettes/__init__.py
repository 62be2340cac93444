"""Recorded traffic: `Cassette` records what a client sends and receives, and replays it without a network.

Everything but the file is decided without I/O. The format is in `_format`, what a request is compared by in
`_matching`; `_recorder` and `_player` are interceptors of the core, which know no binding, and no binding knows them.
"""

from hestiaos.cassettes._cassette import Cassette

__all__ = ["Cassette"]


def __dir__() -> list[str]:
    return sorted(__all__)

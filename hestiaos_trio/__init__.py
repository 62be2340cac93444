"""HestiaOS over trio's own streams and the core's own HTTP/1.1: `TrioClient`. No httpx."""

from hestiaos_trio._client import TrioClient
from hestiaos_trio._executor import TrioEventStream

__all__ = ["TrioClient", "TrioEventStream"]


def __dir__() -> list[str]:
    return sorted(__all__)

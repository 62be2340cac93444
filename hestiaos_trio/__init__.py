"""HestiaOS over trio's streams and the core's own HTTP/1.1: `TrioClient`. No httpx."""

try:
    from hestiaos_trio._client import TrioClient
    from hestiaos_trio._executor import TrioEventStream
except ModuleNotFoundError as _error:
    if _error.name != "trio":
        raise
    raise ModuleNotFoundError("TrioClient needs trio: pip install 'hestiaos[trio]'", name="trio") from None

__all__ = ["TrioClient", "TrioEventStream"]


def __dir__() -> list[str]:
    return sorted(__all__)

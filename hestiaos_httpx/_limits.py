"""The limits of a client's connections, with the attributes of httpx's own class."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Limits"]


class Limits(Protocol):
    """The connections that are open and kept, and for how many seconds; `None` means no limit. `httpx.Limits` fits."""

    @property
    def max_connections(self) -> int | None: ...

    @property
    def max_keepalive_connections(self) -> int | None: ...

    @property
    def keepalive_expiry(self) -> float | None: ...

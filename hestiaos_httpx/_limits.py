"""How many connections a client may have, with the attributes of httpx's own class."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Limits"]


class Limits(Protocol):
    """How many connections are open and kept, and for how many seconds; `None` means no limit. `httpx.Limits` fits."""

    @property
    def max_connections(self) -> int | None: ...

    @property
    def max_keepalive_connections(self) -> int | None: ...

    @property
    def keepalive_expiry(self) -> float | None: ...

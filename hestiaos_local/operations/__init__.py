"""The operations that only answer: of the system, governance, traces, sessions and secrets. They execute nothing."""

from __future__ import annotations

from hestiaos_local.operations._operations import Operations

__all__ = ["Operations"]


def __dir__() -> list[str]:
    return sorted(__all__)

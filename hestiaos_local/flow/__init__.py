"""Flows: generators of effects that describe the steps of a call, and the drivers that execute the effects."""

from __future__ import annotations

from hestiaos_local.flow._driving import Caller, drive, drive_sync, in_thread
from hestiaos_local.flow._effects import Await, Begin, Call, Cancelled, Disconnect, Emit, Flow, Next, Stop, call_surely
from hestiaos_local.flow._first import AsyncEvents, Events, first_of, first_of_sync

__all__ = [
    "AsyncEvents",
    "Await",
    "Begin",
    "Call",
    "Caller",
    "Cancelled",
    "Disconnect",
    "Emit",
    "Events",
    "Flow",
    "Next",
    "Stop",
    "call_surely",
    "drive",
    "drive_sync",
    "first_of",
    "first_of_sync",
    "in_thread",
]


def __dir__() -> list[str]:
    return sorted(__all__)

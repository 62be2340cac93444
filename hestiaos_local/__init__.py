"""An embedded, deterministic HestiaOS platform, used in-process or served on a TCP port.

`Client(transport=LocalTransport(Platform()))` uses it without a socket, `await serve(Platform())` serves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_local._exchange import LocalExchange
from hestiaos_local._lazy_names import lazy_names
from hestiaos_local._platform import Platform
from hestiaos_local.execution import Agent, EchoExecutor, Executor
from hestiaos_local.governance import Policy, PolicyError
from hestiaos_local.storage import Retention, Store, StoreError

if TYPE_CHECKING:
    from hestiaos_local._transport import LocalTransport
    from hestiaos_local.execution import Configuration, ConfigurationError, RelayExecutor, function_executor
    from hestiaos_local.governance import RecordedDecision, Replayed, recorded_decision, replay
    from hestiaos_local.keys import Key, Keys, add_key, remove_key
    from hestiaos_local.serving import ServedRequest, ServeError, serve
    from hestiaos_local.storage import copy_store

__all__ = [
    "Agent",
    "Configuration",
    "ConfigurationError",
    "EchoExecutor",
    "Executor",
    "Key",
    "Keys",
    "LocalExchange",
    "LocalTransport",
    "Platform",
    "Policy",
    "PolicyError",
    "RecordedDecision",
    "RelayExecutor",
    "Replayed",
    "Retention",
    "ServeError",
    "ServedRequest",
    "Store",
    "StoreError",
    "add_key",
    "copy_store",
    "function_executor",
    "recorded_decision",
    "remove_key",
    "replay",
    "serve",
]

# What needs httpx or anyio, or is for servers only, is imported on first use.
if not TYPE_CHECKING:  # hidden from type checkers, which would accept every name
    __getattr__ = lazy_names(
        __name__,
        {
            "hestiaos_local._transport": ("LocalTransport",),
            "hestiaos_local.execution": ("Configuration", "ConfigurationError", "RelayExecutor", "function_executor"),
            "hestiaos_local.governance": ("RecordedDecision", "Replayed", "recorded_decision", "replay"),
            "hestiaos_local.keys": ("Key", "Keys", "add_key", "remove_key"),
            "hestiaos_local.serving": ("ServeError", "ServedRequest", "serve"),
            "hestiaos_local.storage": ("copy_store",),
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)

"""An embedded, deterministic HestiaOS platform, used in-process or served on a TCP port.

`Client(transport=LocalTransport(Platform()))` uses it without a socket, `await serve(Platform())` serves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hestiaos_local._exchange import LocalExchange
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

# What needs httpx or anyio, or is for servers only, is imported on first use (PEP 562).
_LAZY = {
    "Configuration": "hestiaos_local.execution",
    "ConfigurationError": "hestiaos_local.execution",
    "RelayExecutor": "hestiaos_local.execution",
    "function_executor": "hestiaos_local.execution",
    "Key": "hestiaos_local.keys",
    "Keys": "hestiaos_local.keys",
    "RecordedDecision": "hestiaos_local.governance",
    "Replayed": "hestiaos_local.governance",
    "recorded_decision": "hestiaos_local.governance",
    "replay": "hestiaos_local.governance",
    "LocalTransport": "hestiaos_local._transport",
    "ServeError": "hestiaos_local.serving",
    "ServedRequest": "hestiaos_local.serving",
    "add_key": "hestiaos_local.keys",
    "copy_store": "hestiaos_local.storage",
    "remove_key": "hestiaos_local.keys",
    "serve": "hestiaos_local.serving",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

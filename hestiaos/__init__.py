"""The HestiaOS SDK: `from hestiaos import AsyncClient, Client, StreamEvent, …`.

Importing this package loads no other: each name is loaded at its first use, so that httpx is loaded with the
clients only.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers take it as true; importing `typing` would take longer than everything else here

if TYPE_CHECKING:
    from typing import Any

    from hestiaos.batches import AsyncBatch, Batch, BatchFailure, BatchResult, batch
    from hestiaos.cassettes import Cassette
    from hestiaos_asyncio import AsyncioClient, AsyncioEventStream
    from hestiaos_httpx import AsyncClient, AsyncEventStream, Client, EventStream, Limits
    from hestiaos_local import (
        Key,
        Keys,
        LocalTransport,
        Platform,
        Policy,
        PolicyError,
        Retention,
        ServeError,
        Store,
        StoreError,
        serve,
    )
    from hestiaos_proto import (
        AgentInfo,
        AgentResult,
        Approval,
        AuthenticationFailed,
        CallInfo,
        ChatResponse,
        ConnectFailed,
        ConnectionLost,
        ErrorResponse,
        GovernanceBlock,
        HealthResponse,
        HestiaError,
        Hooks,
        InvalidInput,
        LocalProtocolError,
        NotFound,
        ProtocolError,
        RateLimited,
        RemoteProtocolError,
        RequestInfo,
        ResponseInfo,
        RunResponse,
        ServerError,
        SessionInfo,
        StatusError,
        StreamEvent,
        StreamEventType,
        StreamInterrupted,
        SystemMetrics,
        SystemStatus,
        TimedOut,
        TraceResponse,
        TransportError,
        __version__,
    )
    from hestiaos_proto.operations import ModeHint
    from hestiaos_trio import TrioClient, TrioEventStream

__all__ = [
    "AgentInfo",
    "AgentResult",
    "Approval",
    "AsyncBatch",
    "AsyncClient",
    "AsyncEventStream",
    "AsyncioClient",
    "AsyncioEventStream",
    "AuthenticationFailed",
    "Batch",
    "BatchFailure",
    "BatchResult",
    "CallInfo",
    "Cassette",
    "ChatResponse",
    "Client",
    "ConnectFailed",
    "ConnectionLost",
    "ErrorResponse",
    "EventStream",
    "GovernanceBlock",
    "HealthResponse",
    "HestiaError",
    "Hooks",
    "InvalidInput",
    "Key",
    "Keys",
    "Limits",
    "LocalProtocolError",
    "LocalTransport",
    "ModeHint",
    "NotFound",
    "Platform",
    "Policy",
    "PolicyError",
    "ProtocolError",
    "RateLimited",
    "RemoteProtocolError",
    "RequestInfo",
    "ResponseInfo",
    "Retention",
    "RunResponse",
    "ServeError",
    "ServerError",
    "SessionInfo",
    "StatusError",
    "Store",
    "StoreError",
    "StreamEvent",
    "StreamEventType",
    "StreamInterrupted",
    "SystemMetrics",
    "SystemStatus",
    "TimedOut",
    "TraceResponse",
    "TransportError",
    "TrioClient",
    "TrioEventStream",
    "__version__",
    "batch",
    "serve",
]

_HOMES = {
    "hestiaos.batches": ("AsyncBatch", "Batch", "BatchFailure", "BatchResult", "batch"),
    "hestiaos.cassettes": ("Cassette",),
    "hestiaos_asyncio": ("AsyncioClient", "AsyncioEventStream"),
    "hestiaos_httpx": ("AsyncClient", "AsyncEventStream", "Client", "EventStream", "Limits"),
    "hestiaos_local": (
        "Key",
        "Keys",
        "LocalTransport",
        "Platform",
        "Policy",
        "PolicyError",
        "Retention",
        "ServeError",
        "Store",
        "StoreError",
        "serve",
    ),
    "hestiaos_proto._events": ("StreamEvent", "StreamEventType"),
    "hestiaos_proto._hooks": ("CallInfo", "Hooks", "RequestInfo", "ResponseInfo"),
    "hestiaos_proto._listed_models": ("AgentInfo", "Approval", "SessionInfo"),
    "hestiaos_proto._models": (
        "AgentResult",
        "ChatResponse",
        "ErrorResponse",
        "HealthResponse",
        "RunResponse",
        "SystemMetrics",
        "SystemStatus",
        "TraceResponse",
    ),
    "hestiaos_proto.operations": ("ModeHint",),
    "hestiaos_proto._version": ("__version__",),
    "hestiaos_trio": ("TrioClient", "TrioEventStream"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # hidden from type checkers, which read the list above and would accept every name
    _NAMES = tuple(__all__)
    del __all__  # made on demand, since finding out what is installed takes longer than importing this package

    def __getattr__(name: str) -> Any:
        """Import a public name from its own package, and list those that can be imported (PEP 562)."""
        if name == "__all__":
            value = _importable_names()
        elif name in _NAMES:
            value = getattr(import_module(_HOME_OF.get(name, "hestiaos_proto._errors")), name)
        else:
            raise AttributeError(f"module 'hestiaos' has no attribute {name!r}")
        globals()[name] = value  # found without this function from now on
        return value

    def _importable_names() -> list[str]:
        """Return the public names, without those that need a package which is not installed."""
        from importlib.util import find_spec

        return sorted(_NAMES if find_spec("trio") else {*_NAMES}.difference(_HOMES["hestiaos_trio"]))

    def __dir__() -> list[str]:
        return _importable_names()

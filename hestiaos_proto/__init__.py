"""The HestiaOS protocol: what to send, and what arrives means. No I/O, no clock, no randomness, no event loop.

Every machine has the same three verbs. `receive_data(data)` takes what arrived, in whatever pieces, `b""` at the end;
`events()` iterates over what can be had of it now, and raises a fault after everything that came whole before it;
`send(…)` returns what to put on the wire. A machine that has failed raises the same error again.
"""

from typing import TYPE_CHECKING

from hestiaos_proto import operations
from hestiaos_proto.calls import (
    CallContext,
    CallFlow,
    CallOptions,
    Runtime,
    Send,
    StreamOptions,
    Wait,
    call_flow,
    run_flow,
    run_flow_async,
)
from hestiaos_proto.client_messages import Request, Response
from hestiaos_proto.config import Config
from hestiaos_proto.error_bodies import error_from_response
from hestiaos_proto.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    GovernanceBlock,
    HestiaError,
    InvalidInput,
    LocalProtocolError,
    NotFound,
    ProtocolError,
    RateLimited,
    RemoteProtocolError,
    ServerError,
    StatusError,
    StreamInterrupted,
    TimedOut,
    TransportError,
)
from hestiaos_proto.events import StreamEvent, StreamEventType
from hestiaos_proto.hooks import CallInfo, CallObserver, Hooks, RequestInfo, ResponseInfo
from hestiaos_proto.models import (
    AgentResult,
    ChatResponse,
    ErrorResponse,
    HealthResponse,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto.operations import ModeHint, Operation
from hestiaos_proto.sse import ServerSentEvent, SSEDecoder, encode_comment, encode_event
from hestiaos_proto.stream import ORDER, RunStream, StreamState
from hestiaos_proto.version import __version__

if TYPE_CHECKING:
    from hestiaos_proto.certificates import default_tls_context
    from hestiaos_proto.client_bases import AsyncClientBase, AsyncStreams, ClientBase
    from hestiaos_proto.connection import ClientConnection, Control, ServerConnection
    from hestiaos_proto.event_streams import AsyncEventStreamBase, EventStreamBase
    from hestiaos_proto.loop_client import LoopClient, LoopEventStream, LoopExecutor
    from hestiaos_proto.loop_pool import LoopConnection, LoopPool, NetworkOptions
    from hestiaos_proto.pool import ConnectionPool, Lease
    from hestiaos_proto.proxies import Proxy, environment_proxy
    from hestiaos_proto.server_messages import (
        EncodedResponse,
        ServerRequest,
        encode_response,
        encode_stream_event,
        parse_request,
    )
    from hestiaos_proto.transports import Transport

__all__ = [
    "ORDER",
    "AgentResult",
    "AsyncClientBase",
    "AsyncEventStreamBase",
    "AsyncStreams",
    "AuthenticationFailed",
    "CallContext",
    "CallFlow",
    "CallInfo",
    "CallObserver",
    "CallOptions",
    "ChatResponse",
    "ClientBase",
    "ClientConnection",
    "Config",
    "ConnectFailed",
    "ConnectionLost",
    "ConnectionPool",
    "Control",
    "EncodedResponse",
    "ErrorResponse",
    "EventStreamBase",
    "GovernanceBlock",
    "HealthResponse",
    "HestiaError",
    "Hooks",
    "InvalidInput",
    "Lease",
    "LocalProtocolError",
    "LoopClient",
    "LoopConnection",
    "LoopEventStream",
    "LoopExecutor",
    "LoopPool",
    "ModeHint",
    "NetworkOptions",
    "NotFound",
    "Operation",
    "ProtocolError",
    "Proxy",
    "RateLimited",
    "RemoteProtocolError",
    "Request",
    "RequestInfo",
    "Response",
    "ResponseInfo",
    "RunResponse",
    "RunStream",
    "Runtime",
    "SSEDecoder",
    "Send",
    "ServerConnection",
    "ServerError",
    "ServerRequest",
    "ServerSentEvent",
    "StatusError",
    "StreamEvent",
    "StreamEventType",
    "StreamInterrupted",
    "StreamOptions",
    "StreamState",
    "SystemMetrics",
    "SystemStatus",
    "TimedOut",
    "TraceResponse",
    "Transport",
    "TransportError",
    "Wait",
    "__version__",
    "call_flow",
    "default_tls_context",
    "encode_comment",
    "encode_event",
    "encode_response",
    "encode_stream_event",
    "environment_proxy",
    "error_from_response",
    "operations",
    "parse_request",
    "run_flow",
    "run_flow_async",
]


if not TYPE_CHECKING:  # pragma: no branch  # only type checkers go the other way

    def __getattr__(name: str) -> object:
        """Load a server's side, and the connections with h11, when they are first asked for (PEP 562)."""
        if name in {"EncodedResponse", "ServerRequest", "encode_response", "encode_stream_event", "parse_request"}:
            from hestiaos_proto import server_messages as home
        elif name in {"ClientConnection", "Control", "ServerConnection"}:
            from hestiaos_proto import connection as home
        elif name in {"AsyncClientBase", "AsyncStreams", "ClientBase"}:
            from hestiaos_proto import client_bases as home
        elif name in {"AsyncEventStreamBase", "EventStreamBase"}:
            from hestiaos_proto import event_streams as home
        elif name in {"LoopClient", "LoopEventStream", "LoopExecutor"}:
            from hestiaos_proto import loop_client as home
        elif name in {"LoopConnection", "LoopPool", "NetworkOptions"}:
            from hestiaos_proto import loop_pool as home
        elif name == "default_tls_context":
            from hestiaos_proto import certificates as home
        elif name in {"ConnectionPool", "Lease"}:
            from hestiaos_proto import pool as home
        elif name in {"Proxy", "environment_proxy"}:
            from hestiaos_proto import proxies as home
        elif name == "Transport":
            from hestiaos_proto import transports as home
        else:
            raise AttributeError(f"module 'hestiaos_proto' has no attribute {name!r}")
        return getattr(home, name)

"""The HestiaOS protocol without I/O, clock, randomness, threads or event loop.

Every machine has the same three methods. `receive_data(data)` takes what arrived, in any pieces, and `b""` for the end;
`events()` iterates over what is complete, and raises a fault after it; `send(…)` returns the bytes to send. A machine
that has failed raises the same error again.
"""

from typing import TYPE_CHECKING

from hestiaos_proto import json, operations
from hestiaos_proto._body_schemas import BodySchema, FieldError, Param
from hestiaos_proto._call_options import CallOptions, StreamOptions
from hestiaos_proto._calls import CallContext, call_flow, run_flow, run_flow_async
from hestiaos_proto._client_messages import Request, Response
from hestiaos_proto._config import DEFAULT_BASE_URL, MAX_BODY_SIZE, Config, ConfigOptions
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._error_bodies import error_from_response
from hestiaos_proto._errors import (
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
from hestiaos_proto._events import StreamEvent, StreamEventType
from hestiaos_proto._hooks import CallInfo, CallObserver, Hooks, Logger, RequestInfo, ResponseInfo
from hestiaos_proto._listed_models import AgentInfo, Approval, SessionInfo
from hestiaos_proto._models import (
    AgentResult,
    ChatResponse,
    ErrorResponse,
    HealthResponse,
    Model,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._retries import pause_before_repeat
from hestiaos_proto._routes import ROUTES, Route
from hestiaos_proto._runtime import RandomSource, Runtime
from hestiaos_proto._sse import ServerSentEvent, SSEDecoder, encode_comment, encode_event
from hestiaos_proto._steps import CallFlow, Interceptor, LocalResponse, Send, Wait
from hestiaos_proto._stream import ORDER, RunStream, StreamState
from hestiaos_proto._version import __version__
from hestiaos_proto.operations import ModeHint, Operation

if TYPE_CHECKING:
    from hestiaos_proto._certificates import default_tls_context
    from hestiaos_proto._client_bases import AsyncClientBase, AsyncStreams, ClientBase
    from hestiaos_proto._connection import (
        CLIENT_STATES,
        SERVER_STATES,
        ChunkDecoder,
        ClientConnection,
        ConnectionState,
        HeadScanner,
        ServerConnection,
        ServerItem,
    )
    from hestiaos_proto._event_streams import AsyncEventStreamBase, EventStreamBase
    from hestiaos_proto._executors import AsyncExecutor, Executor
    from hestiaos_proto._fork_guard import ForkGuard
    from hestiaos_proto._governance import AsyncGovernance, Governance
    from hestiaos_proto._loop_client import LoopClient, LoopEventStream, LoopExecutor
    from hestiaos_proto._loop_pool import LoopConnection, LoopPool, NetworkOptions
    from hestiaos_proto._namespaces import (
        Agents,
        AsyncAgents,
        AsyncChat,
        AsyncSecrets,
        AsyncSystem,
        Chat,
        Secrets,
        System,
    )
    from hestiaos_proto._pool import ConnectionPool, Lease
    from hestiaos_proto._proxies import Proxy, environment_proxy
    from hestiaos_proto._server_messages import (
        STREAM_HEADERS,
        Control,
        EncodedResponse,
        NumberedEvent,
        ResponseHead,
        Result,
        ServerRequest,
        encode_json,
        encode_response,
        encode_stream_event,
        error_events,
    )
    from hestiaos_proto._server_requests import check_body, parse_body, parse_head, parse_request, too_large
    from hestiaos_proto._streaming_chats import AsyncStreamingChat, StreamingChat
    from hestiaos_proto._transports import AsyncTransport, Transport

__all__ = [
    "CLIENT_STATES",
    "DEFAULT_BASE_URL",
    "MAX_BODY_SIZE",
    "ORDER",
    "ROUTES",
    "SERVER_STATES",
    "STREAM_HEADERS",
    "AgentInfo",
    "AgentResult",
    "Agents",
    "Approval",
    "AsyncAgents",
    "AsyncChat",
    "AsyncClientBase",
    "AsyncEventStreamBase",
    "AsyncExecutor",
    "AsyncGovernance",
    "AsyncSecrets",
    "AsyncStreamingChat",
    "AsyncStreams",
    "AsyncSystem",
    "AsyncTransport",
    "AuthenticationFailed",
    "BodySchema",
    "CallContext",
    "CallFlow",
    "CallInfo",
    "CallObserver",
    "CallOptions",
    "Chat",
    "ChatResponse",
    "ChunkDecoder",
    "ClientBase",
    "ClientConnection",
    "Config",
    "ConfigOptions",
    "ConnectFailed",
    "ConnectionLost",
    "ConnectionPool",
    "ConnectionState",
    "Control",
    "Deadline",
    "EncodedResponse",
    "ErrorResponse",
    "EventStreamBase",
    "Executor",
    "FieldError",
    "ForkGuard",
    "Governance",
    "GovernanceBlock",
    "HeadScanner",
    "HealthResponse",
    "HestiaError",
    "Hooks",
    "Interceptor",
    "InvalidInput",
    "Lease",
    "LocalProtocolError",
    "LocalResponse",
    "Logger",
    "LoopClient",
    "LoopConnection",
    "LoopEventStream",
    "LoopExecutor",
    "LoopPool",
    "ModeHint",
    "Model",
    "NetworkOptions",
    "NotFound",
    "NumberedEvent",
    "Operation",
    "Param",
    "ProtocolError",
    "Proxy",
    "RandomSource",
    "RateLimited",
    "Redactor",
    "RemoteProtocolError",
    "Request",
    "RequestInfo",
    "Response",
    "ResponseHead",
    "ResponseInfo",
    "Result",
    "Route",
    "RunResponse",
    "RunStream",
    "Runtime",
    "SSEDecoder",
    "Secrets",
    "Send",
    "ServerConnection",
    "ServerError",
    "ServerItem",
    "ServerRequest",
    "ServerSentEvent",
    "SessionInfo",
    "StatusError",
    "StreamEvent",
    "StreamEventType",
    "StreamInterrupted",
    "StreamOptions",
    "StreamState",
    "StreamingChat",
    "System",
    "SystemMetrics",
    "SystemStatus",
    "TimedOut",
    "TraceResponse",
    "Transport",
    "TransportError",
    "Wait",
    "__version__",
    "call_flow",
    "check_body",
    "default_tls_context",
    "encode_comment",
    "encode_event",
    "encode_json",
    "encode_response",
    "encode_stream_event",
    "environment_proxy",
    "error_events",
    "error_from_response",
    "json",
    "operations",
    "parse_body",
    "parse_head",
    "parse_request",
    "pause_before_repeat",
    "run_flow",
    "run_flow_async",
    "too_large",
]

if not TYPE_CHECKING:  # pragma: no branch  # only type checkers go the other way

    def __getattr__(name: str) -> object:
        """Load what only servers and bindings need, and h11, at the first use (PEP 562)."""
        from hestiaos_proto._late_names import home_of

        home = home_of(name)
        if home is None:
            raise AttributeError(f"module 'hestiaos_proto' has no attribute {name!r}")
        return getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)

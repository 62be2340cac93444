"""The public names that are loaded at their first use, and the module of each."""

from __future__ import annotations

from types import ModuleType

__all__ = ["home_of"]


def home_of(name: str) -> ModuleType | None:
    """Load the module that defines a public name; `None` if none does."""
    if name == "default_tls_context":
        from hestiaos_proto import _certificates

        return _certificates
    if name in {"AsyncClientBase", "AsyncStreams", "ClientBase"}:
        from hestiaos_proto import _client_bases

        return _client_bases
    if name in {
        "CLIENT_STATES",
        "SERVER_STATES",
        "ChunkDecoder",
        "ClientConnection",
        "ConnectionState",
        "HeadScanner",
        "ServerConnection",
        "ServerItem",
    }:
        from hestiaos_proto import _connection

        return _connection
    if name in {"AsyncEventStreamBase", "EventStreamBase"}:
        from hestiaos_proto import _event_streams

        return _event_streams
    if name == "ForkGuard":
        from hestiaos_proto import _fork_guard

        return _fork_guard
    if name in {"AsyncExecutor", "Executor"}:
        from hestiaos_proto import _executors

        return _executors
    if name in {"LoopClient", "LoopEventStream", "LoopExecutor"}:
        from hestiaos_proto import _loop_client

        return _loop_client
    if name in {"LoopConnection", "LoopPool", "NetworkOptions"}:
        from hestiaos_proto import _loop_pool

        return _loop_pool
    if name in {"ConnectionPool", "Lease"}:
        from hestiaos_proto import _pool

        return _pool
    if name in {"Proxy", "environment_proxy"}:
        from hestiaos_proto import _proxies

        return _proxies
    if name in {"AsyncGovernance", "Governance"}:
        from hestiaos_proto import _governance

        return _governance
    if name.removeprefix("Async") in {"Agents", "Chat", "Secrets", "System"}:
        from hestiaos_proto import _namespaces

        return _namespaces
    if name in {
        "Control",
        "EncodedResponse",
        "ResponseHead",
        "Result",
        "STREAM_HEADERS",
        "ServerRequest",
        "encode_json",
        "encode_response",
        "NumberedEvent",
        "encode_stream_event",
        "error_events",
    }:
        from hestiaos_proto import _server_messages

        return _server_messages
    if name in {"check_body", "parse_body", "parse_head", "parse_request", "too_large"}:
        from hestiaos_proto import _server_requests

        return _server_requests
    if name in {"AsyncStreamingChat", "StreamingChat"}:
        from hestiaos_proto import _streaming_chats

        return _streaming_chats
    if name in {"AsyncTransport", "Transport"}:
        from hestiaos_proto import _transports

        return _transports
    return None

"""Translates the exceptions of httpx to ours, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hestiaos_httpx._messages import Outgoing
from hestiaos_proto import (
    ConnectFailed,
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    TimedOut,
    TransportError,
)

__all__ = ["translate"]

# httpx has one exception for a peer that breaks the protocol and for one that closes early: the message differs.
_CLOSED_EARLY = ("Server disconnected", "peer closed connection", "peer unexpectedly closed connection")


def translate(error: Exception, send: Outgoing[Any], http: Any, *, peer: str | None = None) -> HestiaError:
    """Return the exception that a caller sees instead of `error`, which is its `__cause__`.

    `http` is the library that raised it. `peer` is the server or proxy, while the connection to it is being made.
    """
    for each in _chain(error):
        send.redactor.error(each)  # h11 quotes wrong lines, which may contain the key
    translated = _translate(error, send, http, peer)
    if isinstance(translated, TimedOut) or (isinstance(translated, TransportError) and send.deadline.left() == 0):
        request_sent = translated.request_sent
        translated = send.deadline.timeout_error(translated.message)
        translated.request_sent = request_sent
    translated.__cause__ = error
    return translated


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error` and the exceptions that it was raised from, by `from` or implicitly."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    """Return the first message in the chain, since trio's exceptions for a failed TLS handshake have none."""
    return next((message for each in _chain(error) if (message := str(each))), type(error).__name__)


def _translate(error: Exception, send: Outgoing[Any], http: Any, peer: str | None) -> HestiaError:
    reason, origin, url = _reason(error), send.request.origin, send.request.url
    if isinstance(error, http.PoolTimeout):
        return TimedOut(f"every connection to {origin} stayed in use for too long", request_sent=False)
    if isinstance(error, http.ConnectTimeout) or (peer is not None and isinstance(error, http.TimeoutException)):
        return TimedOut(f"connecting to {peer or origin} took too long", request_sent=False)
    if isinstance(error, http.WriteTimeout):
        return TimedOut(f"sending to {origin} took too long")
    if isinstance(error, http.TimeoutException):
        return TimedOut(f"{origin} sent nothing for too long")
    if isinstance(error, (http.LocalProtocolError, http.UnsupportedProtocol)):
        return LocalProtocolError(f"the request cannot be sent: {reason}")
    if isinstance(error, (http.InvalidURL, UnicodeError)):
        if not _is_url(origin, http):
            return ConnectFailed(f"cannot connect to {origin}: {reason}")
        if not _is_url(url, http):
            return LocalProtocolError(f"the request cannot be sent: {reason}, with its {len(url)} characters")
        # An http_client of the user parses the Location.
        return RemoteProtocolError(f"{origin} redirects to what is not a URL: {reason}")
    if peer is not None or isinstance(error, (http.ConnectError, http.ProxyError)):
        return ConnectFailed(f"cannot connect to {peer or origin}: {reason}")
    if isinstance(error, http.RemoteProtocolError) and not reason.startswith(_CLOSED_EARLY):
        return RemoteProtocolError(f"{origin} broke HTTP/1.1: {reason}")
    return ConnectionLost(f"the connection to {origin} was lost: {reason}")


def _is_url(url: str, http: Any) -> bool:
    """Return whether `url` is valid, without looking up its host."""
    try:
        http.URL(url).host.encode("idna")
    except (http.InvalidURL, UnicodeError):
        return False
    return True

"""From httpx's exceptions to ours, in one table."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from hestiaos_proto import (
    ConnectFailed,
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    Send,
    TimedOut,
    TransportError,
)

__all__ = ["FOREIGN", "translate"]

FOREIGN = (httpx.HTTPError, httpx.InvalidURL, UnicodeError)
"""What httpx raises where no response comes; the last two for what is no URL."""

# httpx has one exception for a peer that breaks the protocol and for one that closes early; only its words tell.
_CLOSED_EARLY = ("Server disconnected", "peer closed connection", "peer unexpectedly closed connection")


def translate(error: Exception, send: Send) -> HestiaError:
    """What a caller sees of `error`, which is its `__cause__`."""
    for each in _chain(error):
        send.redactor.error(each)  # h11 quotes what it does not understand, which may repeat the key
    told = _translate(error, _why(error), send.request.origin, send.request.url)
    if isinstance(told, TimedOut) or (isinstance(told, TransportError) and send.deadline.left() == 0):
        request_sent = told.request_sent
        told = send.deadline.timeout_error(told.message)
        told.request_sent = request_sent
    told.__cause__ = error
    return told


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what stands behind it; httpcore's pool raises again what it caught, `from None`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _why(error: BaseException) -> str:
    """What the first in the chain says that says anything: trio's exceptions for a failed TLS handshake are silent."""
    return next((said for each in _chain(error) if (said := str(each))), type(error).__name__)


def _translate(error: Exception, why: str, origin: str, url: str) -> HestiaError:
    match error:
        case httpx.ConnectTimeout():
            return TimedOut(f"connecting to {origin} took too long", request_sent=False)
        case httpx.PoolTimeout():
            return TimedOut(f"every connection to {origin} stayed in use for too long", request_sent=False)
        case httpx.WriteTimeout():
            return TimedOut(f"sending the request to {origin} took too long")
        case httpx.TimeoutException():
            return TimedOut(f"{origin} sent nothing for too long")
        case httpx.ConnectError() | httpx.ProxyError():
            return ConnectFailed(f"cannot connect to {origin}: {why}")
        case httpx.RemoteProtocolError() if not why.startswith(_CLOSED_EARLY):
            return RemoteProtocolError(f"{origin} broke HTTP/1.1: {why}")
        case httpx.LocalProtocolError() | httpx.UnsupportedProtocol():
            return LocalProtocolError(f"the request cannot be sent: {why}")
        case httpx.InvalidURL() | UnicodeError() if not _is_url(origin):
            return ConnectFailed(f"cannot connect to {origin}: {why}")
        case httpx.InvalidURL() | UnicodeError() if not _is_url(url):
            return LocalProtocolError(f"the request cannot be sent: {why}, with its {len(url)} characters")
        case httpx.InvalidURL() | UnicodeError():  # a client that was given to us looks at a Location
            return RemoteProtocolError(f"{origin} redirects to what is no URL: {why}")
        case _:
            return ConnectionLost(f"the connection to {origin} was lost: {why}")


def _is_url(url: str) -> bool:
    """Whether `url` can be sent to, as far as can be told without looking up its host."""
    try:
        httpx.URL(url).host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        return False
    return True

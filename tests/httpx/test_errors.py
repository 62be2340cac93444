"""httpx's exceptions as ours: the kind, the words, and whether the request can have reached the server."""

from __future__ import annotations

import traceback

import h11
import pytest

from hestiaos_httpx._errors import translate
from hestiaos_proto import (
    Config,
    ConnectFailed,
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    Send,
    TimedOut,
    TransportError,
    operations,
)
from hestiaos_proto._deadline import Deadline
from tests.support.http_library import http as httpx


def sent(deadline: Deadline | None = None, **config: str) -> Send:
    return Send.of(operations.health(), Config(base_url="http://h:1", **config), deadline or Deadline.never())


@pytest.mark.parametrize(
    ("error", "kind", "words", "reached"),
    [
        (httpx.ConnectTimeout(""), TimedOut, "connecting to http://h:1 took too long", False),
        (httpx.PoolTimeout(""), TimedOut, "every connection to http://h:1 stayed in use for too long", False),
        (httpx.WriteTimeout(""), TimedOut, "sending to http://h:1 took too long", True),
        (httpx.ReadTimeout(""), TimedOut, "http://h:1 sent nothing for too long", True),
        (httpx.ConnectError("refused"), ConnectFailed, "cannot connect to http://h:1: refused", False),
        (httpx.ProxyError("403"), ConnectFailed, "cannot connect to http://h:1: 403", False),
        (httpx.ReadError("reset"), ConnectionLost, "the connection to http://h:1 was lost: reset", True),
        (httpx.ReadError(""), ConnectionLost, "the connection to http://h:1 was lost: ReadError", True),
        (httpx.RemoteProtocolError("Server disconnected"), ConnectionLost, "was lost: Server disconnected", True),
        (httpx.RemoteProtocolError("bad line"), RemoteProtocolError, "http://h:1 broke HTTP/1.1: bad line", None),
        (httpx.LocalProtocolError("no"), LocalProtocolError, "the request cannot be sent: no", None),
        (httpx.UnsupportedProtocol("ftp"), LocalProtocolError, "the request cannot be sent: ftp", None),
        (httpx.InvalidURL("bad"), RemoteProtocolError, "http://h:1 redirects to what is not a URL: bad", None),
        (UnicodeError("bad"), RemoteProtocolError, "http://h:1 redirects to what is not a URL: bad", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_httpx_errors_become_the_errors_of_the_table(
    error: Exception, kind: type[HestiaError], words: str, reached: bool | None
) -> None:
    translated = translate(error, sent(), httpx)
    assert (type(translated), translated.__cause__) == (kind, error)
    assert words in translated.message
    assert getattr(translated, "request_sent", None) is reached


@pytest.mark.parametrize("error", [httpx.ReadTimeout(""), httpx.ConnectTimeout(""), httpx.ReadError("reset")])
def test_past_the_deadline_the_deadline_is_the_error(error: httpx.HTTPError) -> None:
    now = [0.0]
    send = sent(Deadline(lambda: now[0], 0.5))
    now[0] = 1.0
    translated = translate(error, send, httpx)
    assert isinstance(translated, TransportError)
    assert translated.message == "the call took longer than its deadline of 0.5 s"
    assert translated.request_sent is not isinstance(error, httpx.ConnectTimeout)


def test_what_h11_quotes_is_redacted_in_the_whole_chain() -> None:
    cause = h11.RemoteProtocolError("illegal header line: bytearray(b'Bearer sk-4711')")
    error = httpx.RemoteProtocolError(str(cause))
    error.__cause__ = cause
    translated = translate(error, sent(api_key="sk-4711"), httpx)
    assert "illegal header line" in translated.message
    assert "4711" not in "".join(traceback.format_exception(translated))

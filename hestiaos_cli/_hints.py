"""Hints after a failed call, according to the cause, as far as the exceptions show it."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hestiaos_cli._failures import BLOCKED, CUT, FAILED, NOT_AUTHENTICATED, TIMED_OUT, UNREACHABLE, Failure
from hestiaos_proto import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    GovernanceBlock,
    HestiaError,
    RateLimited,
    RemoteProtocolError,
    StatusError,
    StreamInterrupted,
    TimedOut,
)

if TYPE_CHECKING:
    from hestiaos_cli._server import Server
    from hestiaos_cli._settings import Settings

__all__ = ["failure_of_call", "hint_in_doctor", "is_json"]

_LONG = 1.0  # seconds; a call that took longer is reported with its duration
_ROLE_MISSING = "ROLE_MISSING"  # the code for a valid key without the required role
_LONGEST_WAIT = 60.0  # seconds; `--retries` does not wait longer
_PROXY_LOGIN, _UNAVAILABLE, _OF_GATEWAYS = 407, 503, (502, 504)
_OTHER_HOST, _EXPIRED = (62, 64), 10  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH, _CERT_HAS_EXPIRED
_DOCTOR = "; 'hestiaos doctor' checks each step of the connection"

_STATUSES = (
    (GovernanceBlock, BLOCKED),
    (AuthenticationFailed, NOT_AUTHENTICATED),
    (ConnectFailed, UNREACHABLE),
    (TimedOut, TIMED_OUT),
    (StreamInterrupted, CUT),
)


def failure_of_call(error: HestiaError, settings: Settings) -> Failure:
    """Convert a `HestiaError` to a failure: what failed, where, after how long, and what to do."""
    server = settings.server
    message = str(error)
    if isinstance(error, AuthenticationFailed):  # the server's own message may contain the key
        message = f"[{error.code}] the server asks for an API key"
        if server is not None and server.key_source is not None:
            message = f"[{error.code}] the server does not accept the API key of {server.key_source}"
            if error.code == _ROLE_MISSING:
                message = (
                    f"[{error.code}] the API key of {server.key_source} does not have {_role(error)} that this needs"
                )
    if error.trace_id and error.trace_id not in message:
        message += f" (trace {error.trace_id})"
    if server is not None and not server.local:
        if server.url not in message:
            message += f", at {server.url}"
        waited = time.monotonic() - settings.began
        if waited >= _LONG or isinstance(error, TimedOut):
            message += f", after {waited:.1f} s"
    hint = _hint_of(error, server)
    return Failure(
        f"{message.removesuffix('.')}; {hint}" if hint else message,
        code=error.code,
        status=next((status for kind, status in _STATUSES if isinstance(error, kind)), FAILED),
        trace_id=error.trace_id,
        details=error.details if isinstance(error, StatusError) else None,
    )


def hint_in_doctor(error: HestiaError, server: Server | None) -> str:
    """Return advice for the output of `hestiaos doctor`."""
    return _hint_of(error, server).removesuffix(_DOCTOR)


def _hint_of(error: HestiaError, server: Server | None) -> str:
    """Return advice on an error, or `""` if there is none."""
    if isinstance(error, GovernanceBlock) and (hint := _of_block(error, server)):
        return hint
    if server is None or server.local:
        return _of_trace(error, server)
    if isinstance(error, ConnectFailed):
        return _of_connect(error, server)
    if isinstance(error, TimedOut):
        return f"give it more time with --timeout SECONDS{_DOCTOR}"
    if isinstance(error, AuthenticationFailed):
        if error.code == _ROLE_MISSING:
            return "use a key that has it: the one who runs the server makes one with 'hestiaos keys new'"
        return server.key_hint
    if isinstance(error, StatusError):
        return _of_status(error, server)
    if isinstance(error, StreamInterrupted):
        return f"run it again{_DOCTOR}"
    if isinstance(error, ConnectionLost):
        return f"it is not known whether the server has done it{_DOCTOR}"
    return _of_another_server(server) if isinstance(error, RemoteProtocolError) else ""


def _of_block(error: GovernanceBlock, server: Server | None) -> str:
    approval = error.details.get("approval") if isinstance(error.details, dict) else None
    if isinstance(approval, dict) and approval.get("status") != "denied":
        return f"it can be approved: '{_program(server)} approvals approve {approval.get('id')}'"
    return _of_trace(error, server)


def _of_status(error: StatusError, server: Server) -> str:
    answers_json = error.response is None or is_json(error)
    if error.code == "UNKNOWN_OPERATION" and answers_json:
        return "it is of an older version than this command: update the server"
    if error.status_code == _PROXY_LOGIN and (proxy := server.proxy) is not None:
        return f"the proxy asks for a login: {proxy.variable}=http://USER:PASSWORD@HOST:PORT"
    if isinstance(error, RateLimited) or error.status_code == _UNAVAILABLE:
        if error.retry_after is not None and error.retry_after > _LONGEST_WAIT:
            return "run it again then"
        return "--retries N tries again for you"
    if error.status_code in _OF_GATEWAYS and not answers_json:
        return f"this is the response of a proxy, whose server does not respond{_DOCTOR}"
    return _of_trace(error, server) if answers_json else _of_another_server(server)


def _of_trace(error: HestiaError, server: Server | None) -> str:
    return f"see '{_program(server)} trace {error.trace_id}'" if error.trace_id else ""


def _program(server: Server | None) -> str:
    return "hestiaos --local" if server is not None and server.local else "hestiaos"


def _of_another_server(server: Server) -> str:
    return f"its URL comes from {server.url_source}{_DOCTOR}"


def _role(error: StatusError) -> str:
    role = error.details.get("role") if isinstance(error.details, dict) else None
    return f"the role '{role}'" if isinstance(role, str) and role.isalpha() else "the role"


def _of_connect(error: ConnectFailed, server: Server) -> str:
    causes = list(_causes(error))
    proxy = server.proxy
    if proxy is not None:
        host = server.host
        return f"the proxy is {proxy.variable}'s: start it, unset the variable, or add {host} to NO_PROXY to go without"
    if any(isinstance(each, socket.gaierror) for each in causes):
        return f"no such host is known: check the URL of {server.url_source}, and the network"
    for each in causes:
        if isinstance(each, ssl.SSLCertVerificationError):
            return _of_certificate(each.verify_code)
    if any(isinstance(each, ssl.SSLError) for each in causes):
        return f"does the server speak TLS there? If not, its URL begins with http://{_DOCTOR}"
    return "start one with 'hestiaos serve', name another with --base-url, or add --local to do without"


def _of_certificate(code: int) -> str:
    if code in _OTHER_HOST:
        return "the certificate is another host's: use that name in the URL; --insecure skips the check"
    if code == _EXPIRED:
        return "the server needs a new certificate; --insecure skips the check"
    return "name the authority that signed the certificate with --cacert FILE; --insecure skips the check"


def is_json(error: HestiaError) -> bool:
    """Return whether the response was JSON, as those of a HestiaOS server are. Proxies and web sites send HTML."""
    return error.response is not None and "json" in error.response.headers.get("content-type", "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

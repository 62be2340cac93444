"""Connect to a server step by step, until one fails, for `hestiaos doctor`."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hestiaos_cli._clients import verification
from hestiaos_cli._hints import hint_in_doctor, is_json
from hestiaos_cli._streaming import error_of_event
from hestiaos_proto import (
    AuthenticationFailed,
    Config,
    ConnectionLost,
    GovernanceBlock,
    HestiaError,
    Redactor,
    RemoteProtocolError,
    StatusError,
)

if TYPE_CHECKING:
    from hestiaos import Client
    from hestiaos_cli._settings import Settings

__all__ = ["Step", "walk"]

_API_VERSION = "v1"
_ROLE_MISSING = "ROLE_MISSING"
_TEXT = "hestiaos doctor checks whether this stream comes word by word"
_MIN_SPREAD = 0.05  # seconds; if the server sent its events within less, their arrival shows nothing
_STREAMS = 3  # which must all look buffered, since one does if this machine or the server stalls for a moment


class Step:
    """One step: its name, whether it works, how long it took, what was found, and what to do if it failed."""

    def __init__(self, name: str, *, works: bool, seconds: float, detail: str, hint: str = "") -> None:
        self.name = name
        self.works = works
        self.seconds = seconds
        self.detail = detail
        self.hint = hint

    def to_json(self) -> dict[str, Any]:
        """Return the step as a JSON object."""
        return vars(self)


def walk(settings: Settings, client: Client) -> Iterator[Step]:
    """Yield the steps to the server that the settings name. If a step fails, it is the last one."""
    way = _Way(settings, client)
    for name, take in way.steps():
        began = time.monotonic()
        try:
            detail = take()
        except HestiaError as error:
            yield Step(
                name,
                works=False,
                seconds=time.monotonic() - began,
                detail=str(error),
                hint=hint_in_doctor(error, settings.server),
            )
            return
        except _Fails as error:
            yield Step(name, works=False, seconds=time.monotonic() - began, detail=str(error), hint=error.hint)
            return
        yield Step(name, works=True, seconds=time.monotonic() - began, detail=detail)


class _Fails(Exception):
    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.hint = hint


class _Way:
    def __init__(self, settings: Settings, client: Client) -> None:
        assert settings.server is not None, "a client has one"
        self._server = settings.server
        self._settings = settings
        self._client = client
        self._config = Config(base_url=self._server.url)
        self._timeout = settings.timeout or 30.0
        self._addresses: list[Any] = []
        self._version: str | None = None

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        yield "proxy", self._proxy
        yield "name", self._name
        yield "TCP", self._tcp
        if self._config.tls and self._server.proxy is None:  # through a proxy, TLS is part of the next step
            yield "TLS", self._tls
        yield "HTTP", self._http
        yield "key", self._key
        yield "version", self._api_version
        yield "stream", self._stream

    @property
    def _peer(self) -> tuple[str, int]:
        """The proxy or the server to connect to."""
        proxy = self._server.proxy
        return self._config.address if proxy is None else (proxy.host, proxy.port)

    def _proxy(self) -> str:
        proxy = self._server.proxy
        return "none is used" if proxy is None else f"{proxy.origin}, of {proxy.variable}"

    def _name(self) -> str:
        host, port = self._peer
        try:
            self._addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise _Fails(f"{host}: {error}", f"check the URL of {self._server.url_source}, and the network") from None
        return f"{host} is {', '.join(dict.fromkeys(str(each[4][0]) for each in self._addresses))}"

    def _tcp(self) -> str:
        errors = []
        for family, kind, number, _, address in self._addresses:
            with socket.socket(family, kind, number) as connection:
                connection.settimeout(self._timeout)
                try:
                    connection.connect(address)
                except OSError as error:
                    errors.append(f"{address[0]} port {address[1]}: {error.strerror or error}")
                else:
                    return f"{address[0]} port {address[1]}"
        who = "the server" if self._server.proxy is None else f"the proxy of {self._server.proxy.variable}"
        raise _Fails("; ".join(errors), f"is {who} running there, and does a firewall let you through?")

    def _tls(self) -> str:
        context = _context(self._settings)
        host, port = self._peer
        try:
            with (
                socket.create_connection((host, port), self._timeout) as plain,
                context.wrap_socket(plain, server_hostname=host) as connection,
            ):
                return f"{connection.version()}, verified" if context.check_hostname else f"{connection.version()}"
        except ssl.SSLCertVerificationError as error:
            raise _Fails(
                error.verify_message, "--cacert FILE names the authority that signed the certificate"
            ) from None
        except OSError as error:  # an ssl.SSLError is one
            raise _Fails(str(error), "does the server speak TLS there? If not, its URL begins with http://") from None

    def _speaks_tls(self) -> bool:
        """Return whether the listener responds to a TLS handshake, whatever its certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with socket.create_connection(self._peer, self._timeout) as plain, context.wrap_socket(plain):
                return True
        except OSError:
            return False

    def _http(self) -> str:
        try:
            health = self._client.health()
        except AuthenticationFailed:
            return "a server that shows nothing without a key"
        except ConnectionLost as error:
            if not self._config.tls and self._server.proxy is None and self._speaks_tls():
                raise _Fails(str(error), "it speaks TLS: its URL begins with https://") from None
            raise
        except RemoteProtocolError as error:
            if self._server.key_source is None and is_json(error):  # without a key, a server may omit fields
                return "a server that shows little without a key"
            raise
        self._version = health.api_version
        return f"HestiaOS {health.version}, status {health.status}"

    def _key(self) -> str:
        source = self._server.key_source
        try:
            self._client.system.status()
        except AuthenticationFailed as error:
            if error.code != _ROLE_MISSING:
                raise
            return f"that of {source} is accepted; it does not have the role to read"
        return "none is needed" if source is None else f"that of {source} is accepted, or none is needed"

    def _api_version(self) -> str:
        if self._version not in (None, _API_VERSION):
            raise _Fails(f"the server speaks {self._version}, this program {_API_VERSION}", "install the one that fits")
        return f"{self._version or 'unknown'}"

    def _stream(self) -> str:
        """Return whether events arrive when they are sent, according to their timestamps."""
        count, sent, arrived = 0, 0.0, 0.0
        for _ in range(_STREAMS):
            try:
                count, sent, arrived = self._read_stream()
            except GovernanceBlock:
                return "governance blocks the text that it is tried with"
            except AuthenticationFailed as error:
                if error.code != _ROLE_MISSING:
                    raise
                return "not tried: the key does not have the role to run"
            if sent < _MIN_SPREAD:
                return f"{count} events; they were sent too fast to show whether something buffers them"
            if arrived >= sent / 2:
                return f"{count} events, as they were sent"
        raise _Fails(
            f"{count} events, sent over {sent:.1f} s, arrived in {arrived:.1f} s: something buffers",
            "have the reverse proxy pass streams on as they arrive (nginx: proxy_buffering off)",
        )

    def _read_stream(self) -> tuple[int, float, float]:
        """Return how many events a stream has, the seconds from the first to the last as sent, and as they arrived.

        The seconds as sent are 0 if an event has no timestamp. Raises the error of an `error` event after its end.
        """
        failure: StatusError | None = None
        arrived: list[float] = []
        sent: list[float] = []
        with self._client.run_stream(_TEXT) as events:
            for event in events:
                arrived.append(time.monotonic())
                sent += _seconds(event.timestamp)
                if event.type == "error":
                    failure = error_of_event(event, Redactor(self._server.api_key))
        if failure is not None:
            raise failure
        return len(arrived), sent[-1] - sent[0] if len(sent) == len(arrived) else 0.0, arrived[-1] - arrived[0]


def _seconds(timestamp: str) -> list[float]:
    try:
        return [datetime.fromisoformat(timestamp).timestamp()]
    except ValueError:
        return []


def _context(settings: Settings) -> ssl.SSLContext:
    given = verification(settings)
    if isinstance(given, ssl.SSLContext):
        return given
    import httpx

    return httpx.create_ssl_context(verify=given)

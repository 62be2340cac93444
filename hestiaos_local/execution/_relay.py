"""The executor that has a model server do the work: its wire is `hestiaos_local.openai`, httpx carries it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

from attrs import evolve

from hestiaos_local.execution._executors import AsyncExecutor
from hestiaos_local.execution._outputs import Output
from hestiaos_local.execution._relay_tls import tls_context
from hestiaos_local.execution._work import Work
from hestiaos_local.openai import (
    CompletionStream,
    ModelRequest,
    chat_request,
    completion_outputs,
    model_names,
    model_protocol_error,
    model_stream_cut,
    model_timed_out,
    model_unreachable,
    models_request,
    upstream_error,
)
from hestiaos_proto import MAX_BODY_SIZE, NotFound, Redactor, StatusError

if TYPE_CHECKING:
    import httpx
else:
    try:
        import httpx
    except ImportError:  # only the successor is installed
        import httpx2 as httpx

__all__ = ["RelayExecutor"]

_MAX_ERROR_BODY = 64 * 1024
_CHECK_TIMEOUT = 5.0


class RelayExecutor(AsyncExecutor):
    """Has the OpenAI-compatible model server at `url` (`http://localhost:11434/v1`) do the work, streamed.

    `model` is requested if the work names none; without it, the first that the server has. `key` is the
    server's API key, `max_tokens` the most that any work may ask for. `connect_timeout` and `read_timeout`, in seconds,
    bound the connect and each silence of the server. Raises `ValueError` for a URL or a key that cannot be one.

    Each execution has a connection of its own: httpcore's pool loses places when requests are cancelled
    (encode/httpcore#1093), and cancelling is what happens here whenever a caller goes.
    """

    keeps_max_tokens = True  # the model server does

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        max_tokens: int | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 600.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.url: str = _checked(url)
        self._model = model
        self._max_tokens = max_tokens
        self._key = key or None
        if self._key is not None and not (self._key.isascii() and self._key.isprintable()):
            raise ValueError("the key of the model server has a character that a header cannot have")
        self._redactor = Redactor(self._key)
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        self._ssl_context = tls_context(self.url, ssl_context)
        self._has_loaded = False
        self._name = f"hestiaos-{token_hex(8)}"

    def __repr__(self) -> str:
        return f"RelayExecutor({self.url!r}, model={self._model!r})"

    @property
    def hidden_values(self) -> frozenset[str]:
        """The key of the model server, which must not be shown or written."""
        return frozenset([self._key] if self._key else [])

    @property
    def gateways(self) -> frozenset[str]:
        """Its name in the `Via` of its requests (RFC 9110, section 7.6.3)."""
        return frozenset([self._name])

    @property
    def model(self) -> str | None:
        """The model for work that names none; `None` while that is not known."""
        return self._model

    async def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        """The outputs, as the model server sends them. Raises the `StatusError` of a failure there."""
        model = work.model or await self.find_model()
        limits = [limit for limit in (work.max_tokens, self._max_tokens) if limit is not None]
        work = evolve(work, max_tokens=min(limits, default=None))
        request = chat_request(work, model=model, key=self._key, stream=True)
        prefix = f"call_{work.trace_id}_" if work.trace_id else "call_"
        redactor = _WorkRedactor(self._redactor, work.redact)
        async with self._exchange(request, redactor) as response:
            if _is_event_stream(response):
                stream = CompletionStream(redactor=redactor, id_prefix=prefix)
                async with aclosing(_pieces(response)) as pieces:
                    while not stream.finished:
                        try:
                            data = await anext(pieces, b"")
                        except (httpx.ReadError, httpx.RemoteProtocolError):  # the machine judges what has come
                            data = b""
                        stream.receive_data(data)
                        for output in stream.events():
                            yield output
            else:  # it does not stream, and has answered at once
                body = await self._body(response)
                for output in completion_outputs(body, redactor=redactor, id_prefix=prefix):
                    yield output

    async def models(self, *, within: float = _CHECK_TIMEOUT) -> list[str]:
        """The names of the models that the server has; `within` is its timeout in seconds.

        Raises the `StatusError` of a failure.
        """
        from anyio import move_on_after

        with move_on_after(within):
            async with self._exchange(models_request(key=self._key), self._redactor) as response:
                return model_names(await self._body(response), redactor=self._redactor)
        raise model_timed_out(f"{self.url} was silent for {within:g} s")

    async def check(self, *, within: float = _CHECK_TIMEOUT) -> StatusError | None:
        """Why the server cannot be used now; `None` if it answers and accepts the key."""
        try:
            await self.models(within=within)
        except NotFound:  # the server is up, without a list of models
            return None
        except StatusError as error:
            return error
        return None

    async def find_model(self) -> str:
        """The model for work that names none. Raises the `StatusError` of a server that does not list its models."""
        if self._model is not None:
            return self._model
        names = await self.models()
        if not names:
            raise NotFound(f"the model server at {self.url} has no model", code="MODEL_NOT_FOUND")
        self._model = names[0]
        return self._model

    async def _make_client(self) -> httpx.AsyncClient:
        """A client for one connection. A thread makes the first: it imports httpcore, for up to a tenth of a second."""
        from anyio.to_thread import run_sync

        limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        make = partial(httpx.AsyncClient, verify=self._ssl_context, timeout=self._timeout, limits=limits)
        if self._has_loaded:
            return make()
        client = await run_sync(make)
        self._has_loaded = True
        return client

    @asynccontextmanager
    async def _exchange(self, request: ModelRequest, redactor: Redactor) -> AsyncIterator[httpx.Response]:
        """A response of status 200 to read. Leaving it ends the connection, and so the work of the server."""
        client = await self._make_client()
        url = self.url + request.path
        headers = request.headers | {"Via": f"1.1 {self._name}"}
        try:
            async with (
                client,
                client.stream(request.method, url, headers=headers, content=request.body) as response,
            ):
                if response.status_code != 200:
                    body = await self._body(response, limit=_MAX_ERROR_BODY)
                    received = {name.lower(): value for name, value in response.headers.items()}
                    raise upstream_error(response.status_code, received, body, redactor)
                if (coding := response.headers.get("content-encoding", "identity")) != "identity":
                    raise model_protocol_error(
                        f"it sent the content coding {redactor.quote(coding)}, though not asked to"
                    )
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise model_unreachable(f"{self.url}: {_said(error, redactor)}") from error
        except httpx.TimeoutException as error:
            raise model_timed_out(f"{self.url}: {_said(error, redactor)}") from error
        except httpx.HTTPError as error:
            raise model_stream_cut(_said(error, redactor)) from error

    async def _body(self, response: httpx.Response, *, limit: int = MAX_BODY_SIZE) -> bytes:
        """The whole body. Of an error's body what goes beyond `limit` is left out, of an answer's it is refused."""
        body = bytearray()
        async with aclosing(_pieces(response)) as pieces:
            async for data in pieces:
                body += data
                if len(body) > limit:
                    if response.status_code != 200:
                        break
                    raise model_protocol_error(f"its answer is larger than {limit} bytes")
        return bytes(body[:limit])


class _WorkRedactor(Redactor):
    """Hides the model server's key, and what the work's caller must not see, before a quotation is shortened."""

    def __init__(self, redactor: Redactor, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._key = redactor
        self._redact = redact

    def text(self, text: str) -> str:
        return self._redact(self._key.text(text))


def _said(error: httpx.HTTPError, redactor: Redactor) -> str:
    return redactor.error(error) or type(error).__name__


async def _pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body as it arrives. Closing it ends the connection."""
    from anyio import CancelScope

    pieces = response.aiter_raw()
    try:
        async for data in pieces:
            if data:
                yield data
    finally:
        # httpx reads through generators inside generators. An iteration that is given up leaves the inner ones to the
        # garbage collector, of which trio warns (encode/httpcore#1019); reading on from the closed connection ends each
        # of them.
        with CancelScope(shield=True):
            await response.aclose()
            with suppress(httpx.HTTPError, httpx.StreamError):
                async for _ in pieces:
                    pass


def _is_event_stream(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() != "application/json"


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(f"the URL of the model server is not one: {error}") from None
    if parsed.userinfo:  # not quoted: it is a secret
        raise ValueError("the URL of the model server may not hold a user or password: give its key instead")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        raise ValueError(f"the URL of the model server must be like http://localhost:11434/v1, not {url!r}")
    return str(parsed).rstrip("/")  # its scheme in lower case

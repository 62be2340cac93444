"""An executor that uses a model server, by `hestiaos_local.openai` over connections of `hestiaos_httpx`."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from secrets import token_hex
from typing import Generic, Self, TypeVar

from attrs import evolve, frozen

from hestiaos_httpx import AsyncConnections, AsyncExchange
from hestiaos_local.execution._executors import AsyncExecutor
from hestiaos_local.execution._outputs import Output
from hestiaos_local.execution._timeouts import execution_timed_out
from hestiaos_local.execution._work import Work
from hestiaos_local.openai import (
    CompletionResponse,
    ModelRequest,
    ModelResponse,
    chat_request,
    model_fault,
    model_names,
    model_timed_out,
    models_request,
)
from hestiaos_proto import (
    Config,
    Deadline,
    HestiaError,
    NotFound,
    Redactor,
    Request,
    ServerError,
    StatusError,
    TimedOut,
    default_tls_context,
)

__all__ = ["RelayExecutor"]

_CHECK_TIMEOUT = 5.0

R = TypeVar("R", bound=ModelResponse)


class RelayExecutor(AsyncExecutor):
    """Requests completions from the OpenAI-compatible model server at `url` (`http://localhost:11434/v1`), streamed.

    `model` is the default, which itself defaults to the server's first model. `key` is the server's API key,
    `max_tokens` the maximum for any work. `connect_timeout` and `read_timeout`, in seconds, bound the connect and each
    pause of the server. The proxy of the environment is used, as by a client.

    Raises `ValueError` for an invalid URL, key, or environment variable.
    """

    keeps_max_tokens = True  # the model server enforces it
    keeps_timeout = True

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
        self._config = _config(url)
        self.url: str = self._config.base_url
        self._model = model
        self._max_tokens = max_tokens
        self._key = key or None
        if self._key is not None and not (self._key.isascii() and self._key.isprintable()):
            raise ValueError("the key of the model server must not have characters that are not allowed in a header")
        self._redactor = Redactor(self._key)
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._connections = AsyncConnections(self._config, verify=_verify(self._config, ssl_context))
        self._has_loaded = False
        self._name = f"hestiaos-{token_hex(8)}"

    def __repr__(self) -> str:
        return f"RelayExecutor({self.url!r}, model={self._model!r})"

    @property
    def hidden_values(self) -> frozenset[str]:
        """The key of the model server, which must be redacted."""
        return frozenset([self._key] if self._key else [])

    @property
    def gateways(self) -> frozenset[str]:
        """Its name in the `Via` of its requests (RFC 9110, section 7.6.3)."""
        return frozenset([self._name])

    @property
    def model(self) -> str | None:
        """The default model, `None` while it is not known."""
        return self._model

    async def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        """Yield the outputs as the model server sends them. Raises a `StatusError` if it fails."""
        limit = _Limit.of_work(work.timeout)
        model = work.model or await self._find_model(limit)
        limits = [most for most in (work.max_tokens, self._max_tokens) if most is not None]
        work = evolve(work, max_tokens=min(limits, default=None))
        request = chat_request(work, model=model, key=self._key, stream=True)
        prefix = f"call_{work.trace_id}_" if work.trace_id else "call_"
        redactor = _WorkRedactor(self._redactor, work.redact)
        new_response = partial(CompletionResponse, redactor=redactor, id_prefix=prefix)
        async with self._exchange(request, new_response, redactor, limit) as exchange:
            response = exchange.response
            for output in response.outputs():
                yield output
            while not response.finished:
                limit.deadline.check()
                await exchange.receive(self._read_timeout)
                for output in response.outputs():
                    yield output

    async def models(self, *, within: float = _CHECK_TIMEOUT) -> list[str]:
        """Return the names of the server's models. `within` is the timeout in seconds.

        Raises a `StatusError` if the server fails.
        """
        return await self._models(self._limit(within))

    async def check(self, *, within: float = _CHECK_TIMEOUT) -> StatusError | None:
        """Return why the server is unavailable, or `None` if it responds and accepts the key."""
        try:
            await self.models(within=within)
        except NotFound:  # the server is up, without a list of models
            return None
        except StatusError as error:
            return error
        return None

    async def find_model(self) -> str:
        """Return the default model. Raises a `StatusError` if the server does not list its models."""
        return await self._find_model(self._limit(_CHECK_TIMEOUT))

    async def _find_model(self, limit: _Limit) -> str:
        if self._model is None:
            names = await self._models(min(limit, self._limit(_CHECK_TIMEOUT), key=_Limit.left))
            if not names:
                raise NotFound(f"the model server at {self.url} has no model", code="MODEL_NOT_FOUND")
            self._model = names[0]
        return self._model

    async def _models(self, limit: _Limit) -> list[str]:
        new_response = partial(ModelResponse, redactor=self._redactor)
        try:
            async with self._exchange(models_request(key=self._key), new_response, self._redactor, limit) as exchange:
                return model_names(exchange.response.body, redactor=self._redactor)
        except NotFound as error:
            message = f"the model server does not list its models at {self.url}/models"
            hint = "correct its URL, which mostly ends with /v1, or name the model, for the platform or in the request"
            raise NotFound(f"{message}: {hint}", code="MODEL_NOT_FOUND") from error

    def _limit(self, within: float) -> _Limit:
        error = model_timed_out(f"{self.url} was silent for {within:g} s")
        return _Limit(Deadline(time.monotonic, within), error)

    @asynccontextmanager
    async def _exchange(
        self, request: ModelRequest, new_response: Callable[..., R], redactor: Redactor, limit: _Limit
    ) -> AsyncIterator[AsyncExchange[R]]:
        """Enter an exchange with the server. Leaving it early closes the connection, which ends the server's work."""
        if not self._has_loaded:
            from anyio.to_thread import run_sync

            await run_sync(AsyncConnections.load)
            self._has_loaded = True
        headers = request.headers | {"Via": f"1.1 {self._name}"}
        target = self._config.root_path + request.path
        send = _Send(
            Request(request.method, self._config.origin, target, headers, request.body),
            self._connect_timeout,
            self._read_timeout,
            limit.deadline,
            redactor,
            new_response,
        )
        try:
            async with self._connections.exchange(send) as exchange:
                yield exchange
        except StatusError:
            raise
        except HestiaError as error:
            if isinstance(error, TimedOut) and limit.left() == 0:
                raise limit.error from error
            raise model_fault(error) from error


@frozen
class _Limit:
    """The deadline of an exchange, and the error to raise after it."""

    deadline: Deadline
    error: ServerError

    @classmethod
    def of_work(cls, seconds: float | None) -> Self:
        """Create the limit for the timeout of an execution."""
        return cls(Deadline(time.monotonic, seconds), execution_timed_out(seconds or 0.0))

    def left(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline.bound(inf)


@frozen
class _Send(Generic[R]):
    """A request with its timeouts, for `AsyncConnections`. Sending a large body may take as long as an answer."""

    request: Request
    timeout: float
    read_timeout: float
    deadline: Deadline
    redactor: Redactor
    response: Callable[[int, Iterable[tuple[bytes, bytes]]], R]

    @property
    def write_timeout(self) -> float:
        """The timeout of each write, in seconds."""
        return self.read_timeout


class _WorkRedactor(Redactor):
    """Redacts the model server's key, and what the caller must not see, before a quotation is shortened."""

    def __init__(self, redactor: Redactor, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._key = redactor
        self._redact = redact

    def text(self, text: str) -> str:
        return self._redact(self._key.text(text))


def _config(url: str) -> Config:
    if isinstance(url, str) and "@" in url:  # not quoted: it is a secret
        raise ValueError("the URL of the model server must not contain a user or password: give its key instead")
    try:
        return Config(base_url=url)
    except (ValueError, TypeError) as error:
        example = "it must be like http://localhost:11434/v1"
        raise ValueError(f"the URL of the model server cannot be used: {error}; {example}") from None


def _verify(config: Config, given: ssl.SSLContext | None) -> ssl.SSLContext | bool:
    """Return the TLS context: by default one with the certificates of the environment or the system."""
    if given is not None or not config.tls:
        return given or True
    return default_tls_context(os.environ, ssl.create_default_context, os.listdir, os.pathsep)

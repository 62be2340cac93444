"""A request to the platform and its response, in-process: what every transport to it does, without a library."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

from attrs import evolve

from hestiaos_local._platform import Events, Platform, unavailable
from hestiaos_local.storage import StoreError
from hestiaos_proto import (
    STREAM_HEADERS,
    EncodedResponse,
    Request,
    encode_response,
    encode_stream_event,
    parse_request,
)

__all__ = ["LocalExchange"]


class LocalExchange:
    """Answers a client's requests from `platform`: `hestiaos_proto.Transport`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def exchange(self, request: Request) -> tuple[int, Iterable[tuple[str, str]], Iterable[bytes]]:
        """The response's status, headers and body, whose pieces are made when they are asked for."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        result = self._ask(request.method, request.target, headers, request.body)
        if isinstance(result, Generator):
            return 200, STREAM_HEADERS, map(encode_stream_event, result)
        return result.status, result.headers, (result.body,)

    def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> EncodedResponse | Events:
        call = parse_request(method, target, headers, body)
        result = self._platform.respond(call)
        if isinstance(result, Generator):
            return result
        if isinstance(result, StoreError):  # here the client has the file, and is told what to do with it
            result = unavailable(result, str(result))
        response = encode_response(call.operation, result)
        return evolve(response, body=b"") if method == "HEAD" else response

"""`-v`: each request, response, retry and wait on standard error. The core has redacted the key and the secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hestiaos_cli._failures import one_line, tell
from hestiaos_cli._terminal import dim
from hestiaos_proto import Hooks

if TYPE_CHECKING:
    from hestiaos_proto import CallInfo, HestiaError, RequestInfo, ResponseInfo

__all__ = ["tracing_hooks"]


def tracing_hooks(*, with_headers: bool, local: bool) -> Hooks:
    """Return hooks that print what happens. A request to the `local` platform has a path only, as no server gets it."""

    def on_request(call: CallInfo, request: RequestInfo) -> None:
        target = f"/{request.url.split('/', 3)[3]}, to the embedded platform" if local else request.url
        _tell(f"> {request.method} {target} ({request.body_size} bytes)")
        _tell_headers(">", request.headers)

    def on_response(call: CallInfo, response: ResponseInfo) -> None:
        _tell(f"< {response.status} after {call.seconds * 1000:.1f} ms")
        _tell_headers("<", response.headers)

    def on_retry(call: CallInfo, error: HestiaError, wait: float) -> None:
        _tell(f"* {error}: repeated in {wait:.1f} s")

    def _tell_headers(sign: str, headers: Mapping[str, str]) -> None:
        if with_headers:
            for name, value in headers.items():
                _tell(f"{sign} {name}: {value}")

    return Hooks(on_request=on_request, on_response=on_response, on_retry=on_retry)


def _tell(line: str) -> None:
    tell(dim(one_line(line)))

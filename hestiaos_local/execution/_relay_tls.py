"""TLS to a model server, during which no other thread forks: a child could wait for ever in a handshake of its own.

httpx takes an `ssl.SSLContext` and nothing like it, so `ForkGuard.guarded` does not serve here.
"""

from __future__ import annotations

import os
import ssl
import time

from hestiaos_proto import ForkGuard, default_tls_context

__all__ = ["tls_context"]

_GUARD = ForkGuard(time.sleep, getattr(os, "register_at_fork", None))


class _GuardedObject(ssl.SSLObject):
    """Methods that take OpenSSL's locks; no fork happens meanwhile."""

    def do_handshake(self) -> None:
        _GUARD.call(super().do_handshake)

    def read(self, len: int = 1024, buffer: bytearray | None = None) -> bytes | int:  # type: ignore[override]
        return _GUARD.call(super().read, len) if buffer is None else _GUARD.call(super().read, len, buffer)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return _GUARD.call(super().write, data)

    def unwrap(self) -> None:
        _GUARD.call(super().unwrap)


def tls_context(url: str, given: ssl.SSLContext | None) -> ssl.SSLContext:
    """The context that verifies an https server; over http it is not used, and made faster without any certificates."""
    if given is not None:
        context = given
    elif url.startswith("https:"):
        context = default_tls_context(os.environ, ssl.create_default_context, os.listdir, os.pathsep)
    else:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if context.sslobject_class is ssl.SSLObject:
        context.sslobject_class = _GuardedObject
    return context

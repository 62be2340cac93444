"""The default TLS context: the certificates that the environment names, or those of the system."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

__all__ = ["default_tls_context"]

T = TypeVar("T")

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # how OpenSSL finds a certificate in a directory


def default_tls_context(
    environ: Mapping[str, str],
    create: Callable[..., T],
    list_directory: Callable[[str], Iterable[str]],
    separator: str,
) -> T:
    """Return the TLS context for a client without one of its own.

    `create` is `ssl.create_default_tls_context`, `list_directory` `os.listdir`, and `separator` `os.pathsep`.
    `SSL_CERT_FILE` and `SSL_CERT_DIR` name the certificates of the authorities that are trusted instead of the
    system's.

    Raises `ValueError` that names the variable if its value cannot be used.
    """
    cafile, capath = environ.get("SSL_CERT_FILE") or None, environ.get("SSL_CERT_DIR") or None
    for directory in capath.split(separator) if capath else ():
        try:
            found = any(map(_HASHED.fullmatch, list_directory(directory)))
        except OSError as error:
            raise ValueError(f"SSL_CERT_DIR names {directory!r}, which cannot be read: {error.strerror}") from error
        if not found:
            raise ValueError(f"SSL_CERT_DIR names {directory!r}, which has no certificate: see `openssl rehash`")
    try:
        return create(cafile=cafile, capath=capath)
    except OSError as error:  # an ssl.SSLError is one
        names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE") if environ.get(name)]
        source = " and ".join(f"{name}={environ[name]}" for name in names) or "the system's certificates"
        raise ValueError(f"no TLS context can be made with {source}: {error}") from error

"""The variables of the environment that a client reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
NAMES = (*PROXIES, *(name.upper() for name in PROXIES), *CERTIFICATES, "HESTIAOS_BASE_URL", "HESTIAOS_API_KEY")


@contextmanager
def environment(variables: Mapping[str, str] | None = None) -> Iterator[None]:
    """Of what a client reads, these variables and no others are set."""
    with patch.dict(os.environ, variables or {}):
        for name in NAMES:
            if name not in (variables or {}):
                os.environ.pop(name, None)
        yield

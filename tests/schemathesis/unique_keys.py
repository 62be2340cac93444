"""A hook of schemathesis: an Idempotency-Key is new for each request, as its description says."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import schemathesis


@schemathesis.hook
def map_headers(context: Any, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    """Short ones, as they are generated, would come again with another body."""
    if headers and isinstance(headers.get("Idempotency-Key"), str):
        headers["Idempotency-Key"] += uuid4().hex
    return headers

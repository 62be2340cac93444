"""The head of a response, as a server writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from hestiaos_proto._connection.plain_heads import FIELD_NAME
from hestiaos_proto._errors import LocalProtocolError
from hestiaos_proto._http_date import format_http_date

__all__ = ["CONTINUE", "date_header", "write_head"]

CONTINUE = b"HTTP/1.1 100 \r\n\r\n"

_FIELDS = re.compile(rf"(?:{FIELD_NAME}: [\t -~\x80-\xff]*+\r\n)*+")


def write_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the bytes of a response's head. Raises `LocalProtocolError` for what no header can carry."""
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    fields = "".join(lines)
    # A line break in a value would begin another header (response splitting).
    if fields.count("\n") != len(lines) or _FIELDS.fullmatch(fields) is None:
        raise LocalProtocolError("a header's name must be a token, and its value one line of latin-1 text")
    return f"HTTP/1.1 {status} \r\n{fields}\r\n".encode("latin-1")


@lru_cache(maxsize=4)  # of each second it is made once
def date_header(seconds: int) -> tuple[str, str]:
    """Return the field that dates a response (RFC 9110, section 6.6.1)."""
    return "Date", format_http_date(seconds)

"""The head of a request: its line and its headers, judged by RFC 9112 as strictly as a server may."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import NamedTuple

from hestiaos_proto._connection.heads import MAX_HEAD_SIZE
from hestiaos_proto._connection.plain_heads import BLANK_LINE, FIELD_NAME
from hestiaos_proto._errors import RemoteProtocolError

__all__ = ["FIELDS", "BadRequest", "HeadReader", "RequestHead"]

# Visible ASCII, spaces, tabs and obs-text; no line is folded (section 5.2), none ends with CR or LF alone. Possessive,
# so that no line is tried twice.
FIELDS = re.compile(rf"(?:{FIELD_NAME}:[\t -~\x80-\xff]*+\r\n)*+\r\n".encode("latin-1"))
"""Field lines and the empty line after them, in latin-1."""

_CRLF = b"\r\n"
_LINE = re.compile(rf"({FIELD_NAME}) ([!-~]++) HTTP/([0-9])\.([0-9])\r\n".encode())
_TOKEN_BYTE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_URL = re.compile(r"(?i:https?)://([^/?#]*)(.*)")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*+)(?::[0-9]*)?")
_LENGTH = re.compile(r"[0-9]{1,20}")


class BadRequest(RemoteProtocolError):
    """This is not a request that can be answered and followed by another; `status_code` says why."""

    def __init__(self, why: str, status_code: int = 400) -> None:
        super().__init__(f"this is not an HTTP/1.1 request: {why}")
        self.status_code = status_code


class RequestHead(NamedTuple):
    """A request's head."""

    method: str
    target: str  # a path with its query, or `*`
    headers: dict[str, str]  # the names in lower case; `host` is the target's if that is a URL
    length: int | None  # of the body, in bytes; `None` if it is chunked
    keep_alive: bool  # the client may send another request on this connection
    expects_continue: bool
    chunks: bool  # a response may be chunked: the client speaks HTTP/1.1


class HeadReader:
    """Reads the head of one request from a buffer that grows. What has been searched is not searched again."""

    def __init__(self) -> None:
        self._skipped = False
        self._line: re.Match[bytes] | None = None
        self._searched = 0

    @property
    def request_line(self) -> tuple[str, str] | None:
        """Method and target as they were sent; `None` while they have not arrived."""
        return None if self._line is None else (self._line[1].decode(), self._line[2].decode())

    def read(self, buffer: bytearray) -> RequestHead | None:
        """Take the head from the buffer. Return `None` while it is incomplete. Raises `BadRequest`."""
        if not self._skipped and self._line is None and buffer.startswith(_CRLF):  # section 2.2
            del buffer[: len(_CRLF)]
            self._skipped = True
        if not buffer or (buffer == b"\r" and not self._skipped):
            return None
        if self._line is None and not self._read_line(buffer):
            return None
        end = buffer.find(BLANK_LINE, self._searched, MAX_HEAD_SIZE)
        if end < 0:
            self._check(buffer)
            self._searched = max(self._searched, len(buffer) - len(BLANK_LINE) + 1)
            return None
        assert self._line is not None, "it has been read"
        line, end = self._line, end + len(BLANK_LINE)
        fields = bytes(buffer[line.end() : end])
        del buffer[:end]
        return _parse(line, fields)

    def _read_line(self, buffer: bytearray) -> bool:
        if _TOKEN_BYTE.match(buffer) is None:
            raise BadRequest("it does not begin with a method")
        end = buffer.find(_CRLF, self._searched, MAX_HEAD_SIZE)
        if end < 0:
            self._check(buffer)
            self._searched = len(buffer) - 1
            return False
        line = _LINE.fullmatch(bytes(buffer[: end + len(_CRLF)]))
        if line is None:
            raise BadRequest("its first line must be METHOD /path HTTP/1.1")
        if line[3] != b"1":
            raise BadRequest("this server speaks HTTP/1.1 only", 505)
        self._line, self._searched = line, end
        return True

    def _check(self, buffer: bytearray) -> None:
        """Judge what has come of a head, or of its line, that is not whole."""
        if _BARE_LF.search(buffer, self._searched, MAX_HEAD_SIZE) is not None:
            raise BadRequest("a line must end with CR LF")
        if len(buffer) >= MAX_HEAD_SIZE:
            raise BadRequest(f"its line and headers are larger than {MAX_HEAD_SIZE} bytes", 431)


def _parse(line: re.Match[bytes], fields: bytes) -> RequestHead:
    if FIELDS.fullmatch(fields) is None:  # what it says is not quoted: it may be a key
        raise BadRequest("illegal header line")
    headers: dict[str, str] = {}
    for field in fields.decode("latin-1").split("\r\n")[:-2]:
        name, _, value = field.partition(":")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    method, target, modern = line[1].decode(), line[2].decode(), line[4] != b"0"
    return RequestHead(
        method,
        _read_target(method, target, headers, modern=modern),
        headers,
        length := _read_length(headers, modern=modern),
        modern and not ("connection" in headers and "close" in _options(headers["connection"])),
        modern and length != 0 and headers.get("expect", "").lower() == "100-continue",
        modern,
    )


def _options(value: str) -> list[str]:
    return [option.strip().lower() for option in value.split(",")]


def _read_length(headers: dict[str, str], *, modern: bool) -> int | None:
    """Return the length of the body in bytes, or `None` if it is chunked (sections 6.1 and 6.3)."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is None:
        if length is None:
            return 0
        if _LENGTH.fullmatch(length) is None:
            raise BadRequest("Content-Length must be one number of bytes")
        return int(length)
    if length is not None:  # one of those that two servers in a row understand differently
        raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
    if not modern:
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
    if coding.lower() != "chunked":
        raise BadRequest("of the transfer codings this server knows chunked only", 501)
    return None


def _read_target(method: str, target: str, headers: dict[str, str], *, modern: bool) -> str:
    """Return the path and query (section 3.2). The host of a URL replaces that of the header."""
    if modern and "host" not in headers:
        raise BadRequest("the Host header is missing")
    if "host" in headers and not _is_host(headers["host"]):
        raise BadRequest("the Host header must be one host, with a port or without")
    if target.startswith("/") or (target == "*" and method == "OPTIONS"):
        return target
    url = _URL.fullmatch(target)
    if url is None or url[1].startswith(":") or not url[1] or not _is_host(url[1]):
        raise BadRequest("the target must be a path, or an http or https URL")
    headers["host"] = url[1]
    return url[2] if url[2].startswith("/") else f"/{url[2]}"


def _is_host(host: str) -> bool:
    """Return whether it is `uri-host [":" port]` (RFC 9110, section 7.2; RFC 3986, section 3.2.2)."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    if match[1] is not None:
        try:
            IPv6Address(match[1])
        except ValueError:
            return False
    return True

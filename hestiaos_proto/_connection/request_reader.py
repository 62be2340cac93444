"""Read one request after another. Each is judged by its head as soon as that has arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hestiaos_proto._connection.request_bodies import ChunkedBody, PlainBody, TooLarge
from hestiaos_proto._connection.request_heads import BadRequest, HeadReader, RequestHead
from hestiaos_proto._errors import StatusError
from hestiaos_proto._server_messages import EncodedResponse, ServerRequest
from hestiaos_proto._server_requests import Resources, check_body, parse_body, parse_head, too_large

__all__ = ["Judge", "RequestReader"]

Judge = Callable[[ServerRequest], "StatusError | EncodedResponse | None"]
"""Decides on a request by its head: refuses it, returns how to answer it, or accepts it with `None`."""

_SHORT = 64 * 1024  # up to here, in bytes, the body of a request that its head has refused is awaited and dropped


class RequestReader:
    """Reads requests from what arrives; of each the `head` is known while it is read and answered.

    `last` is whether no other request is read after this one, `ended` whether nothing more is to come.
    """

    def __init__(self, max_size: int, judge: Judge | None, resources: Resources) -> None:
        self.ended = False
        self.closed = False  # the client has ended what it sends
        self.buffer = bytearray()
        self._max_size = max_size
        self._judge = judge
        self._resources = resources
        self._refused_body: PlainBody | None = None  # what remains of it
        self.next_request()

    def next_request(self) -> None:
        """Begin with the next request."""
        self.head: RequestHead | None = None
        self.last = False
        self.expects_continue = False
        self._head_reader = HeadReader()
        self._request: ServerRequest | None = None  # by its head, while its body arrives
        self._body: PlainBody | ChunkedBody | None = None

    @property
    def request_line(self) -> tuple[str, str] | None:
        """Method and target of the request that is read or answered; `None` while they have not arrived."""
        return self._head_reader.request_line if self.head is None else (self.head.method, self.head.target)

    def read(self) -> ServerRequest | None:
        """Return the request when it is complete or refused, or `None` before. Raises `BadRequest`."""
        if self._refused_body is not None:
            if not self._refused_body.skip(self.buffer):
                self.ended = self.closed
                return None
            self._refused_body = None
        if self._request is None or self._body is None:
            return self._read_head()
        return self._read_body(self._request, self._body)

    def _read_head(self) -> ServerRequest | None:
        self.head = head = self._head_reader.read(self.buffer)
        if head is None:
            if self.closed:
                if self.buffer:
                    raise BadRequest("it ends inside its head")
                self.ended = True
            return None
        request = parse_head(head.method, head.target, head.headers, self._resources)
        decided = self._judge(request) if self._judge is not None else None
        if isinstance(decided, EncodedResponse):
            return self._decide(head, ServerRequest("", {}, head.headers, response=decided, **_own(head)))
        if (refusal := decided or request.refusal or check_body(head.headers, head.length, self._max_size)) is not None:
            return self._decide(head, ServerRequest("", {}, head.headers, refusal, **_own(head)))
        self.last = not head.keep_alive
        self.expects_continue = head.expects_continue
        self._request = request
        self._body = ChunkedBody(self._max_size) if head.length is None else PlainBody(head.length)
        return self._read_body(request, self._body)

    def _decide(self, head: RequestHead, request: ServerRequest) -> ServerRequest:
        """Respond to a request by its head. The connection is kept open if that is cheap.

        A client that waits for 100 Continue may or may not send its body after another response.
        """
        short = head.length is not None and head.length <= min(_SHORT, self._max_size)
        self.last = not (head.keep_alive and short and not head.expects_continue)
        if not self.last:
            self._refused_body = PlainBody(head.length or 0)
        return request

    def _read_body(self, request: ServerRequest, body: PlainBody | ChunkedBody) -> ServerRequest | None:
        self.expects_continue = self.expects_continue and not self.buffer
        try:
            data = body.read(self.buffer)
        except TooLarge:
            self.last = True
            return ServerRequest("", {}, request.headers, too_large(self._max_size), **_own(request))
        if data is None:
            if self.closed:
                raise BadRequest("it ends inside its body")
            return None
        return parse_body(request, data)


def _own(request: RequestHead | ServerRequest) -> dict[str, Any]:
    return {"method": request.method, "target": request.target}

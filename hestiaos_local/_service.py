"""Who may ask a served platform, and where its calls are worked on: in the event loop, or in a thread beside it."""

from __future__ import annotations

import hmac
import logging
import re
from ipaddress import ip_address
from math import isfinite

from anyio import CapacityLimiter, to_thread
from attrs import field, frozen

from hestiaos_local._platform import Platform, unavailable
from hestiaos_local.storage import StoreError
from hestiaos_proto import AuthenticationFailed, ServerRequest, StatusError

__all__ = ["Service"]

_THREADS = 40  # how many calls are worked on beside the event loop
_SMALL = 4096  # up to here, in bytes, a request's body is worked on at once; that takes less than a millisecond

_LOCAL_NAME = re.compile(r"(?:(localhost)|([0-9.]+)|\[([0-9A-Fa-f:.]+)\])(?::[0-9]+)?")
_NOT_LOCAL = "without an API key this server answers programs of this machine only, as localhost or by its address"

_log = logging.getLogger("hestiaos_local")


@frozen
class Service:
    """What every connection needs to know."""

    platform: Platform
    api_key: str | None
    token_delay: float
    heartbeat: float
    threads: CapacityLimiter = field(factory=lambda: CapacityLimiter(_THREADS))

    def __attrs_post_init__(self) -> None:
        if not (isfinite(self.token_delay) and self.token_delay >= 0):
            raise ValueError(f"token_delay must be a number of seconds, 0 or more, not {self.token_delay}")
        if not (isfinite(self.heartbeat) and self.heartbeat > 0):
            raise ValueError(f"heartbeat must be a number of seconds greater than 0, not {self.heartbeat}")

    async def respond(self, call: ServerRequest) -> object:
        """The platform's response, to a client that has the key, or where there is none, to one of this machine."""
        if self.api_key is None:
            if not _is_local(call):
                return StatusError(_NOT_LOCAL, status_code=421)
        elif not hmac.compare_digest((call.key or "").encode(), self.api_key.encode()):
            return AuthenticationFailed()
        if self._is_quick(call):
            response = self.platform.respond(call)
        else:  # what has begun is not given up, even where the server stops: it is stored before the platform is closed
            response = await to_thread.run_sync(self.platform.respond, call, limiter=self.threads)
        if isinstance(response, StoreError):
            _log.error("%s failed: %s", call.operation, response)
            response = unavailable(response, "the server's store cannot be used now")
        return response

    def _is_quick(self, call: ServerRequest) -> bool:
        """Whether the event loop works on a call itself: a thread costs 60 to 90 µs, a fifth of a small call's whole.

        A file may be locked for seconds, and so may the store by a thread that works on a large body. A thread frees
        the loop of such waits only: `re` keeps the interpreter's lock while it searches, so that a policy has to be
        quick by itself, as the default one is.
        """
        if self.platform.storage != "memory" or self.threads.borrowed_tokens:
            return False
        return "transfer-encoding" not in call.headers and int(call.headers.get("content-length", "0")) <= _SMALL


def _is_local(call: ServerRequest) -> bool:
    """Whether a request was meant for this machine by a program of this machine.

    A web page in a browser here reaches loopback too. It gives itself away by its `Origin`, which is that of another
    machine, or, where its name was made to resolve to loopback, by its `Host`: only a name can be made to, so there any
    address will do, as that of a machine which forwards a port to this one.
    """
    host = _LOCAL_NAME.fullmatch(call.headers.get("host", ""))
    origin = _LOCAL_NAME.fullmatch(call.headers.get("origin", "//localhost").partition("//")[2])
    return host is not None and origin is not None and (origin[1] is not None or _is_loopback(origin[2] or origin[3]))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False

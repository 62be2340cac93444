"""The error for a client whose call fails, and the line in the log."""

from __future__ import annotations

from hestiaos_local._logging import logger
from hestiaos_local.flow import Disconnect
from hestiaos_local.storage import StoreError
from hestiaos_proto import ServerError, ServerRequest, StatusError

__all__ = ["logged", "unavailable"]


def logged(call: ServerRequest, error: Exception | Disconnect) -> BaseException:
    """The exception, for the client; the log says why where the server failed."""
    if not isinstance(error, (StatusError, StoreError, Disconnect)):
        logger().error("%s failed", call.operation, exc_info=error)
    return error


def unavailable(error: StoreError, message: str) -> ServerError:
    """The error for a store that cannot be used: nothing was executed, so that a client may repeat the request."""
    status = 500 if error.problem == "encrypted" else 503  # a repeat finds no key either
    return ServerError(message, status_code=status, code="STORE_UNAVAILABLE", retry_after=error.retry_after)

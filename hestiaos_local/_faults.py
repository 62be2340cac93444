"""The error that a client gets for a failed call, and what is logged."""

from __future__ import annotations

from hestiaos_local._logging import logger
from hestiaos_local.flow import Disconnect
from hestiaos_local.storage import StoreError
from hestiaos_proto import ServerError, ServerRequest, StatusError

__all__ = ["logged", "unavailable"]


def logged(call: ServerRequest, error: Exception | Disconnect) -> BaseException:
    """Return the exception for the client, and log the cause of a failure."""
    if not isinstance(error, (StatusError, StoreError, Disconnect)):
        logger().error("%s failed", call.operation, exc_info=error)
    return error


def unavailable(error: StoreError, message: str) -> ServerError:
    """Return the error for an unusable store. Nothing was executed, so the client may repeat the request."""
    status = 500 if error.problem == "encrypted" else 503  # without the key, repeating does not help
    return ServerError(message, status_code=status, code="STORE_UNAVAILABLE", retry_after=error.retry_after)

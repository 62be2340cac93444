"""Failures of commands: one line on standard error, or one JSON document, and the exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._terminal import paint, visible

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings
    from hestiaos_cli._standard_streams import OutputFailed

__all__ = ["FAILED", "MISUSED", "Failure", "failure_of", "one_line", "report", "report_lost_output", "tell"]

FAILED, MISUSED = 1, 2
BLOCKED, NOT_AUTHENTICATED, UNREACHABLE, TIMED_OUT, CUT = 3, 4, 5, 6, 7
"""Exit statuses; from 3 on only with `--exit-codes`, else 1."""


class Failure(Exception):
    """The failure that ends a command: a line for people, and the fields for programs."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "FAILED",
        status: int = FAILED,
        trace_id: str | None = None,
        details: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.trace_id = trace_id
        self.details = details


def report(error: Exception, settings: Settings, arguments: Sequence[str] = ()) -> int:
    """Print on standard error why the command failed. Return the exit status; raise `error` if it is a bug."""
    failure = failure_of(error, settings)
    if failure is None:
        raise error
    status = failure.status if failure.status <= MISUSED or settings.distinct_statuses else FAILED
    if settings.json or not {"--json", "-j"}.isdisjoint(arguments):  # an error may precede the parsing of --json
        fields = {"code": failure.code, "message": failure.message, "trace_id": failure.trace_id}
        tell(json.dumps({"error": fields | {"details": failure.details, "exit_status": status}}))
    else:
        tell(f"{paint('Error:', 'red', sys.stderr)} {one_line(failure.message)}")
    return status


def report_lost_output(failed: OutputFailed) -> int:
    """Report that the result could not be written. Return the exit status."""
    tell(f"{paint('Error:', 'red', sys.stderr)} standard output cannot be written: {failed}")
    return FAILED


def tell(line: str) -> None:
    """Print a line on standard error. If that fails too, only the exit status shows the failure."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        pass


def one_line(text: str) -> str:
    """Format `text` on one line, with control characters escaped."""
    return visible(" ".join(text.split()))


def failure_of(error: Exception, settings: Settings) -> Failure | None:
    """Return the message for an exception, or `None` if it is a bug."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, click.ClickException):
        return Failure(_with_usage(error), code="USAGE", status=error.exit_code)
    if "hestiaos_proto" in sys.modules:
        from hestiaos_proto import HestiaError

        if isinstance(error, HestiaError):
            from hestiaos_cli._hints import failure_of_call

            return failure_of_call(error, settings)
    if isinstance(error, OSError):  # a port in use, a file that cannot be read
        return Failure(_os_error(error), code="OS_ERROR")
    if isinstance(error, ValueError | TypeError) and _is_own_error(error):
        return Failure(str(error), code="USAGE", status=MISUSED)
    return None


def _with_usage(error: click.ClickException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None or "'hestiaos help'" in message:
        return message
    return f"{message.removesuffix('.')}; see '{context.command_path} --help'"


def _os_error(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _is_own_error(error: Exception) -> bool:
    """Return whether the SDK raised it for a wrong argument. Any other `ValueError` is a bug."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get("__name__", "") if traceback is not None else ""
    return module.partition(".")[0] in ("hestiaos_proto", "hestiaos_httpx", "hestiaos_local", "hestiaos")

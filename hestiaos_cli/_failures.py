"""How a command fails: one line on stderr, and never a traceback for what a user can mend."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["FailingGroup", "Failure"]

_NO_SERVER = "start one with 'hestiaos serve', name another with --base-url, or add --local to do without"


class FailingGroup(click.Group):
    """A group whose commands may raise what the SDK raises: exit status 1, and 2 for what was typed wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        from hestiaos_proto import ConnectFailed, HestiaError

        try:
            return super().invoke(ctx)
        except HestiaError as error:
            told = str(error)
            trace = f" (trace {error.trace_id})" if error.trace_id and error.trace_id not in told else ""
            hint = f": {_NO_SERVER}" if isinstance(error, ConnectFailed) else ""
            raise Failure(f"{told}{trace}{hint}") from error
        except BrokenPipeError:  # `hestiaos … | head`: click ends quietly
            raise
        except OSError as error:  # a port in use, a file that cannot be read
            raise Failure(str(error)) from error
        except (ValueError, TypeError) as error:  # the SDK's word for an argument that cannot be right
            raise _Misuse(str(error)) from error


class Failure(click.ClickException):
    """One line, with exit status 1."""

    def __init__(self, told: str) -> None:
        super().__init__(" ".join(told.split()))


class _Misuse(Failure):
    """The same for what was typed wrong: exit status 2, as click's own."""

    exit_code = 2

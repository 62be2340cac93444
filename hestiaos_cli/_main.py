"""Run the command line as a process, which ends with its exit status or by a signal."""

from __future__ import annotations

import gc
import os
import signal
import sys

TYPE_CHECKING = False  # type checkers read it as true; to import `typing` for it would cost time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; `arguments` are by default the process's own.

    Ctrl-C and a closed pipe end the process by their signal, since a shell ends a loop only if it sees the signal:
    an exit status of 130 continues with the next item.
    """
    if arguments is None:
        gc.set_threshold(50_000)  # instead of 700, as there is no garbage while modules are imported
    handler = signal.getsignal(signal.SIGINT)
    interruptible = handler is signal.default_int_handler  # SIGINT is ignored in a background job of a script

    def take_interrupts() -> None:
        """Let Ctrl-C raise `KeyboardInterrupt`, so that work in progress is ended properly."""
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    if interruptible:  # before there is work in progress, the process may end at once
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from hestiaos_cli._standard_streams import OutputFailed, drop_output, flush_output, prepare_standard_streams

    prepare_standard_streams()
    try:
        from hestiaos_cli._app import run

        status = run(sys.argv[1:] if arguments is None else arguments, on_command=take_interrupts)
        flush_output()
    except OutputFailed as failed:
        drop_output()
        if failed.closed_pipe and hasattr(signal, "SIGPIPE"):
            _exit_by_signal(signal.SIGPIPE)
        from hestiaos_cli._failures import report_lost_output

        status = report_lost_output(failed)
    except KeyboardInterrupt:
        drop_output()
        _exit_by_signal(signal.SIGINT)
    take_interrupts()
    if arguments is None:
        gc.freeze()  # the process ends, and its last collection would search through every module: 25 ms
    sys.exit(status)


def _exit_by_signal(number: signal.Signals) -> NoReturn:
    """End the process as an uncaught signal does."""
    signal.signal(number, signal.SIG_DFL)
    if os.name == "posix":
        os.kill(os.getpid(), number)
    sys.exit(128 + number)  # on Windows, where a process cannot end by a signal

"""A conversation on a terminal: a line, a reply, with the editing and the history of readline."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hestiaos_cli._failures import report, tell
from hestiaos_cli._output import print_text
from hestiaos_cli._places import data_directory
from hestiaos_cli._terminal import colored, dim, may_draw
from hestiaos_proto import HestiaError

if TYPE_CHECKING:
    from hestiaos_cli._chat_session import ChatSession
    from hestiaos_cli._settings import Settings

__all__ = ["converse"]

_HISTORY = 1000  # messages
_EIGHT_BITS = ("input-meta on", "output-meta on", "convert-meta off")  # as readline has it, but for the C locale
_EXIT_COMMANDS = frozenset({"exit", "quit", "/bye", "/exit", "/quit"})  # the commands of other programs, too


def converse(settings: Settings, session: ChatSession) -> None:
    """Hold a conversation, until Ctrl-D. Ctrl-C cancels a reply that is waited for, or the line that is being typed."""
    history = _prepare_editing()
    tell(dim("Ctrl-C cancels a reply, Ctrl-D ends the conversation. A line that ends with \\ continues in the next."))
    while True:
        try:
            message = _read_message().strip()
        except KeyboardInterrupt:
            print_text("")
            continue
        except EOFError:
            print_text("")
            return
        if not message:
            continue
        history = _keep_history(history)
        if message in _EXIT_COMMANDS:
            return
        try:
            session.send(message)
        except KeyboardInterrupt:
            tell(dim("cancelled"))
        except (HestiaError, ValueError) as error:  # ValueError: the message cannot be sent
            report(error, settings)


def _read_message() -> str:
    """Read one or several lines. Raises `KeyboardInterrupt`, `EOFError`."""
    message = input(_prompt(">"))
    while message.endswith("\\"):
        message = f"{message[:-1]}\n{input(_prompt('.'))}"
    return message


def _prompt(sign: str) -> str:
    return f"\001\x1b[1m\002{sign}\001\x1b[0m\002 " if colored(sys.stdout) else f"{sign} "  # readline counts no colours


def _prepare_editing() -> Path | None:
    """Set readline up. Return the file of the history, or `None` if there is none."""
    try:
        import readline
    except ImportError:  # Windows; its console edits lines by itself
        return None
    for setting in _EIGHT_BITS:
        readline.parse_and_bind(f"set {setting}")
    is_gnu = "libedit" not in (readline.__doc__ or "")
    if may_draw(sys.stdout) and is_gnu:  # Python switches it off (python/cpython#86985)
        readline.parse_and_bind("set enable-bracketed-paste on")  # a text of several lines is pasted as one message
    path = data_directory() / "chat_history"
    readline.set_history_length(_HISTORY)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        readline.read_history_file(path)
    except OSError as error:
        _leave_out(path, error)
        return None
    return path


def _keep_history(path: Path | None) -> Path | None:
    """Write the history after each line, so that closing the window loses none. Returns where to write the next."""
    if path is None:
        return None
    import readline

    try:
        readline.write_history_file(path)
    except OSError as error:
        _leave_out(path, error)
        return None
    return path


def _leave_out(path: Path, error: OSError) -> None:
    """Say that there is no history, without which a conversation can go on."""
    tell(dim(f"the history of {path} is left out: {error.strerror or error}"))

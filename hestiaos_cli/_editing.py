"""The user's editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import cast

import click

from hestiaos_cli._failures import Failure

__all__ = ["edit"]

_DEFAULT = "notepad" if sys.platform == "win32" else "vi"  # as POSIX has it for `crontab -e` and `mailx`


def edit(path: Path) -> None:
    """Have the user edit a file, by the editor of VISUAL, else of EDITOR.

    Raises `Failure` if the editor fails, and `UsageError` if none is named and there is no terminal for the default.
    """
    named = next((name for name in ("VISUAL", "EDITOR") if os.environ.get(name, "").strip()), None)
    if named is None and not (cast("object", sys.stdin) is not None and sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("there is no terminal to edit in: name a program in VISUAL or EDITOR")
    editor = _DEFAULT if named is None else os.environ[named]
    try:
        status = subprocess.run([*shlex.split(editor), str(path)]).returncode  # noqa: S603  # the user's own
    except (OSError, ValueError) as error:  # not there, or a quotation mark is missing
        where = "" if named is None else f" of {named}"
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise Failure(f"the editor{where} cannot be started: {editor}: {why}; name another in EDITOR") from error
    if status:
        raise Failure(f"the editor ended with the status {status}: {editor}")

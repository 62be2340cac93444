"""The file of a store, before SQLite opens it: that it is there, that it is a file, whose it is."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from hestiaos_local.storage._errors import StoreError

__all__ = ["Identity", "beside", "identity", "make_file", "protect_file"]

Identity = tuple[int, int]
"""Device and inode: what stays the same of a file that is renamed, and differs where another takes its name."""


def identity(file: Path) -> Identity | None:
    """The file that has this name now; `None` where none can be seen."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def beside(file: Path) -> tuple[Path, Path]:
    """The files that SQLite keeps beside one in use: the write-ahead log, and an index of it in shared memory."""
    file = file.resolve()
    return file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def make_file(name: str, file: Path) -> None:
    """Have a file that SQLite may write to, in a directory that it may write to. A new one is this user's alone.

    Raises `StoreError`, and `OSError` for what the system alone can tell.
    """
    for parent in reversed([parent for parent in file.parents if not parent.exists()]):
        parent.mkdir(mode=0o700, exist_ok=True)
    directory = file.resolve().parent
    if directory.is_dir() and not os.access(directory, os.W_OK | os.X_OK):  # SQLite keeps its log beside the file
        raise StoreError(
            f"{name} is in a directory that this user may not write to ({directory}): choose another one",
            problem="read_only",
        )
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Not opened: closing it would end the locks that another store of this process has on it.
        status = file.stat()
        if S_ISDIR(status.st_mode):
            raise StoreError(f"{name} is a directory: name a file in it") from None
        if not S_ISREG(status.st_mode):
            raise StoreError(f"{name} is not a file: choose another one") from None
        if status.st_size == 1:  # SQLite takes that for an empty file
            raise StoreError(f"{name} is not a SQLite database: choose another file", problem="foreign") from None
        if not os.access(file, os.R_OK | os.W_OK):
            raise StoreError(
                f"{name} may not be written by this user: choose another file", problem="read_only"
            ) from None


def protect_file(name: str, file: Path) -> None:
    """Take from others what they may do with a file that was there before, and with what SQLite keeps beside it."""
    for each in (file, *beside(file)):
        try:
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)
        except FileNotFoundError:  # SQLite keeps it only while it needs it
            pass
        except PermissionError:
            raise StoreError(f"{name} may be read by others, and is another user's: choose another file") from None

"""Checks on the file of a store before SQLite opens it: its kind, its permissions, its identity."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from hestiaos_local.storage._errors import StoreError

__all__ = ["Identity", "beside", "identity", "make_file", "protect_file"]

Identity = tuple[int, int]
"""Device and inode. They stay the same if the file is renamed, and differ if another file takes its name."""


def identity(file: Path) -> Identity | None:
    """Return the identity of the file with this name, or None if there is none or it cannot be seen."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def beside(file: Path) -> tuple[Path, Path]:
    """Return the paths of the write-ahead log and its shared-memory index, which SQLite keeps next to a file."""
    file = file.resolve()
    return file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def make_file(name: str, file: Path) -> None:
    """Create the file, readable by this user only, or check that an existing one and its directory can be written.

    Raises `StoreError`, or `OSError` if the file cannot be created.
    """
    for parent in reversed([parent for parent in file.parents if not parent.exists()]):
        parent.mkdir(mode=0o700, exist_ok=True)
    directory = file.resolve().parent
    if directory.is_dir() and not os.access(directory, os.W_OK | os.X_OK):  # SQLite creates its log there
        raise StoreError(
            f"{name} is in a directory that this user may not write to ({directory}): choose another one",
            problem="read_only",
        )
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Do not open it: closing it would release the locks that another store of this process holds on it.
        status = file.stat()
        if S_ISDIR(status.st_mode):
            raise StoreError(f"{name} is a directory: name a file in it") from None
        if not S_ISREG(status.st_mode):
            raise StoreError(f"{name} is not a file: choose another one") from None
        if status.st_size == 1:  # SQLite would treat it as an empty file
            raise StoreError(f"{name} is not a SQLite database: choose another file", problem="foreign") from None
        if not os.access(file, os.R_OK | os.W_OK):
            raise StoreError(
                f"{name} may not be written by this user: choose another file", problem="read_only"
            ) from None


def protect_file(name: str, file: Path) -> None:
    """Remove other users' permissions on an existing file, and on the log and index next to it."""
    for each in (file, *beside(file)):
        try:
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)
        except FileNotFoundError:  # the log and its index exist only while the database is open
            pass
        except PermissionError:
            raise StoreError(f"{name} belongs to another user, and others may read it: choose another file") from None

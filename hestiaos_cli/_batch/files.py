"""The files of a batch, which are locked while it runs, have only whole lines, and are sorted in little memory."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import uuid4

from hestiaos_cli._failures import Failure

__all__ = ["append", "drop_torn_line", "is_empty", "lock", "name_in", "records", "sort"]

_BLOCK = 64 * 1024  # bytes
_MOST = 100_000_000  # inputs; each number up to the highest takes 9 bytes of memory


def lock(path: Path) -> FileIO:
    """Open a file, locked while it is open.

    Raises `Failure` if another process has locked it, or its folder is missing.
    """
    try:
        file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    except FileNotFoundError:
        raise Failure(f"there is no folder {path.parent} for the results: make it, or choose another file") from None
    if os.name == "posix":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise Failure(
                f"another batch writes to {path.with_suffix('')}: wait for it, or choose another file"
            ) from None
    return file


def is_empty(file: FileIO) -> bool:
    """Return whether a file has no contents, as one that was just made."""
    return file.seek(0, os.SEEK_END) == 0


def name_in(file: FileIO) -> str:
    """Return the name of a batch, or a new one, which is on the disk before anything is run with it."""
    file.seek(0)
    name = file.readall().decode("ascii", "replace").strip()
    if len(name) == 32 and name.isalnum():
        return name
    name = uuid4().hex
    file.seek(0)
    file.truncate()
    append(file, f"{name}\n".encode())
    os.fsync(file)
    return name


def append(file: FileIO, data: bytes) -> None:
    """Write all of `data`. If it raises `OSError`, a part may have been written."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def drop_torn_line(file: FileIO) -> None:
    """Remove an incomplete line, written when a batch was killed or the disk was full."""
    end = file.seek(0, os.SEEK_END)
    position = end
    while position:
        start = max(0, position - _BLOCK)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            position = start + found + 1
            break
        position = start
    if position != end:
        file.truncate(position)


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the offset and the record of each line. Raises `Failure` for a line that is not a record."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict) or not _is_record(record):
                raise Failure(f"{path} is not a file of a batch's results: choose another one")
            yield offset, record
            offset += len(line)


def _is_record(record: dict[str, Any]) -> bool:
    number = record.get("number")
    return type(number) is int and 0 < number <= _MOST and isinstance(record.get("input"), str)


def sort(path: Path, count: int) -> None:
    """Write the last record of each number, in order, to a new file that replaces the old one."""
    offsets = array("q", [-1]) * count
    for offset, record in records(path):
        offsets[record["number"] - 1] = offset
    # Only a complete file replaces the old one, whose mode it gets.
    with path.open("rb") as old, NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        try:
            for offset in offsets:
                if offset >= 0:
                    old.seek(offset)
                    new.write(old.readline())
            new.flush()
            os.fsync(new)
            os.chmod(new.name, path.stat().st_mode & 0o777)
            os.replace(new.name, path)
        except BaseException:
            os.unlink(new.name)
            raise

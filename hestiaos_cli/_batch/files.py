"""The files of a batch: locked while it runs, whole lines only, and sorted without holding all of it in memory."""

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

__all__ = ["append", "drop_torn_line", "lock", "name_in", "records", "sort"]

_BLOCK = 64 * 1024  # bytes
_MOST = 100_000_000  # inputs: for each number up to the highest, 9 bytes are held in memory


def lock(path: Path) -> FileIO:
    """Open a file, locked for as long as it is open. Raises `Failure` where another process has locked it."""
    file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
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


def name_in(file: FileIO) -> str:
    """The name that a batch has been given, or a new one, which is on the disk before anything is run under it."""
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
    """Write all of `data`. Raises `OSError`, and may have written a part of it."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def drop_torn_line(file: FileIO) -> None:
    """Take away what was being written when a batch was killed, or when the disk was full."""
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
    """Each line's offset and record. Raises `Failure` for a line that is not a record."""
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
    """Put the last record of each number in order, into a new file that takes the old one's place."""
    offsets = array("q", [-1]) * count
    for offset, record in records(path):
        offsets[record["number"] - 1] = offset
    # Only a whole file takes the old one's place; its mode is the old one's.
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

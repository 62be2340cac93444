"""The output of a batch: a pipe, or a file that records what is done.

The file has one JSON object per line. Records are only appended, mostly in order. If some are out of order (a batch was
interrupted, or a failed input was run again), they are sorted when all is done, into a new file that replaces it.

While a batch is incomplete, there is a file FILE.batch next to it. It contains the name from which the
`Idempotency-Key` of each input is made, so that an input in progress when the batch was killed is not executed again.
It is locked while a batch runs.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from pathlib import Path
from typing import Any, Self
from uuid import uuid4
from zlib import crc32

from hestiaos_cli._batch import files
from hestiaos_cli._batch.inputs import Item
from hestiaos_cli._failures import Failure
from hestiaos_cli._output import print_json

__all__ = ["FAILED", "ResultFile", "ResultPipe", "Results", "WriteFailed", "has_failed"]

FAILED = "failed"
"""The value in place of a decision if there is none."""


class WriteFailed(Failure):
    """A result could not be written."""


class Results(ABC):
    """The destination of results, a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    @abstractmethod
    def decisions(self) -> Counter[str]:
        """The number of inputs by decision, and of failed ones."""

    @abstractmethod
    def key_for(self, item: Item, *, retry_failed: bool) -> str | None:
        """Return the idempotency key for running an input, or `None` if it is done."""

    @abstractmethod
    def add(self, record: dict[str, Any]) -> None:
        """Write the result of an input. Raises `WriteFailed` or `OutputFailed`."""

    @abstractmethod
    def complete(self) -> None:
        """Complete the output, as all inputs have a result."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


class ResultPipe(Results):
    """Standard output, from which nothing can be resumed."""

    def __init__(self) -> None:
        self._name = uuid4().hex
        self._decisions: Counter[str] = Counter()

    @property
    def decisions(self) -> Counter[str]:
        """See `Results.decisions`."""
        return self._decisions

    def key_for(self, item: Item, *, retry_failed: bool) -> str | None:
        """See `Results.key_for`."""
        return f"{self._name}-{item.number}"

    def add(self, record: dict[str, Any]) -> None:
        """See `Results.add`."""
        print_json(record, compact=True)
        self._decisions[_decision(record)] += 1

    def complete(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing, as the stream stays open."""


class ResultFile(Results):
    """A file. Raises `Failure` if it is not a batch's, another batch writes to it, or it cannot be written."""

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():
            raise Failure(f"{path} is not a regular file: without --output the results go to standard output")
        path = path.resolve()  # the target of a link, so that the link is kept, and two names of a file are the same
        self._path = path
        self._companion = path.with_name(f"{path.name}.batch")
        # For each input, by its number minus one: the index of its name, 0 for none, and its CRC-32.
        self._names = [""]
        self._states = bytearray()
        self._checks = array("L")
        self._keys: dict[int, str] = {}  # of failed inputs
        self._last = 0
        self._in_order = True
        self._lock = files.lock(self._companion)
        self._unused = files.is_empty(self._lock)  # whether FILE.batch is new, and no key was made from its name
        try:
            self._name = files.name_in(self._lock)
            self._file = path.open("a+b", buffering=0)
            files.drop_torn_line(self._file)
            for _, record in files.records(path):
                self._note(record)
        except BaseException:
            self.close()
            raise

    @property
    def decisions(self) -> Counter[str]:
        """See `Results.decisions`."""
        counted = Counter(self._states)
        return Counter({name: counted[code] for code, name in enumerate(self._names) if code and counted[code]})

    def key_for(self, item: Item, *, retry_failed: bool) -> str | None:
        """See `Results.key_for`. Raises `Failure` if the input has changed."""
        index = item.number - 1
        if index >= len(self._states) or not self._states[index]:
            self._unused = False
            return f"{self._name}-{item.number}"
        if self._checks[index] != _check(item.text):
            raise Failure(
                f"input {item.number} is not the one of which {self._path} has the result: "
                "choose another file for the results of other inputs"
            )
        key = self._keys.get(item.number) if retry_failed else None
        self._unused = self._unused and key is None
        return key

    def add(self, record: dict[str, Any]) -> None:
        """See `Results.add`."""
        try:
            files.append(self._file, _line(record))
        except OSError as error:
            raise WriteFailed(
                f"{self._path} cannot be written: {error.strerror}; what is done is kept, and the same command goes on"
            ) from error
        self._note(record)

    def complete(self) -> None:
        """Sort the file if needed, and delete FILE.batch."""
        if not self._in_order:
            files.sort(self._path, len(self._states))
        self._companion.unlink(missing_ok=True)
        self._unused = False

    def close(self) -> None:
        """Close the file. Delete FILE.batch if nothing was run, as when the file has the results of other inputs."""
        if self._unused:
            self._companion.unlink(missing_ok=True)
        if hasattr(self, "_file"):
            self._file.close()
        self._lock.close()

    def _note(self, record: dict[str, Any]) -> None:
        """Record that an input has a result."""
        number, decision = record["number"], _decision(record)
        if number > len(self._states):
            more = number - len(self._states)
            self._states.extend(bytes(more))
            self._checks.extend([0] * more)
        if decision not in self._names:
            self._names.append(decision)
        self._states[number - 1] = self._names.index(decision)
        self._checks[number - 1] = _check(record["input"])
        self._in_order = self._in_order and number == self._last + 1
        self._last = number
        self._keys.pop(number, None)
        if decision == FAILED:
            self._keys[number] = record.get("idempotency_key") or f"{self._name}-{number}"


def _line(record: dict[str, Any]) -> bytes:
    """Encode a record as a line. Lone surrogates, which UTF-8 cannot encode, are escaped."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def has_failed(record: dict[str, Any]) -> bool:
    """Return whether an input does not have a decision. A blocked one has."""
    return record.get("mode") is None


def _decision(record: dict[str, Any]) -> str:
    return FAILED if has_failed(record) else str(record["mode"])


def _check(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"))

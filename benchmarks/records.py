"""The newest rows of each benchmark, in results.json: so one can be measured anew without the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import asdict, frozen

from benchmarks.results import Row

__all__ = ["Record", "load", "save"]

_PATH = Path(__file__).parent / "results.json"


@frozen
class Record:
    """What one benchmark came to. `made` says when, where, with what and in how many rounds."""

    made: str
    rows: Sequence[Row]
    notes: Sequence[str]


def load() -> dict[str, Record]:
    """The records by the names of their benchmarks."""
    if not _PATH.exists():
        return {}
    found = json.loads(_PATH.read_text(encoding="utf-8"))
    return {
        name: Record(each["made"], [Row(**row) for row in each["rows"]], each["notes"]) for name, each in found.items()
    }


def save(records: Mapping[str, Record]) -> None:
    """Keep them."""
    text = json.dumps({name: asdict(each) for name, each in records.items()}, indent=1, ensure_ascii=False)
    _PATH.write_text(f"{text}\n", encoding="utf-8")

"""Files of a batch: its inputs, and its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.command_line import invoke

__all__ = ["assert_complete", "executed", "records", "write_inputs"]


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write_inputs(folder: Path, count: int) -> Path:
    path = folder / "inputs.txt"
    path.write_text("".join(f"text {number}\n" for number in range(1, count + 1)))
    return path


def assert_complete(output: Path, count: int) -> None:
    """Every input has its result, in order, and no other file of the batch is left."""
    found = records(output)
    assert [record["number"] for record in found] == list(range(1, count + 1))
    assert all(record["result"] == f"processed: text {record['number']}" for record in found)
    assert not output.with_name(f"{output.name}.batch").exists()


def executed(url: str) -> int:
    """How many inputs the server has executed, each of which left its trace."""
    status = invoke("governance", "status", "--json", "-u", url).json
    return sum(status["decisions"].values())

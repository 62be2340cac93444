"""The report: what was measured, where, with what, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.chart import bar_chart, line_chart
from benchmarks.machine import machine, python, versions
from benchmarks.measuring import Plan
from benchmarks.records import Record
from benchmarks.results import Plot
from benchmarks.table import table

_HERE = Path(__file__).parent

_METHOD = """\
- **Time** is CPU time of the measured process alone. What plays to it, or asks it, is a process of its own.
- **Rounds**: each contestant has a process of its own; they take turns, A B C A B C …, and the first round does not
  count. A ratio is the median of the ratios within the rounds, a figure the median of its own rounds.
- **Streams** are of 170-byte events. Over a socket each is one HTTP chunk, played as fast as it is read, or,
  for *one event a read*, a millisecond after the one before, as models send them.
- **bytes → events**: `hestiaos` makes `StreamEvent`s and enforces their order. The published client, httpx-sse and mcp
  take a response of httpx or httpx2, which is one in memory. openai and anthropic have their decoder and their reading
  of JSON measured, without the models that their streams make of it; mcp reads JSON-RPC messages of the same size.
- **through a client**: openai and anthropic read events of their own APIs, of the same size, into their models.
- **bare**, and unparsed: the bytes of a stream's body are received and not looked at.
- **standard library only**: msgspec is kept from being imported.
- **the served platform**: the peers serve the same platform, so what differs is the serving.
- **relayed**: before the replay server, which plays OpenAI's chunks, each of them read, governed and written anew. The
  LiteLLM proxy (1.108.7, with a key, without a database) has an environment of its own. The time to the first token is
  by the clock. **bytes passed on** is `recv` and `sendall`, the least that can stand there.
- **workers on PostgreSQL**: by the clock, with sixteen callers; they, the database and the model share the machine.
- **streams at once**: all are open, and the first event of each is read, before time is taken.
"""


def made(plan: Plan, when: datetime) -> str:
    """When, where, with what and in how many rounds a benchmark was made."""
    return f"on {when:%d %B %Y}, {machine()}, {python()}, {plan.rounds} rounds, with {versions()}"


def report(records: Mapping[str, Record]) -> str:
    """In Markdown."""
    rows = [row for record in records.values() for row in record.rows]
    goals = [row for row in rows if row.met is not None]
    sources: dict[str, list[str]] = {}
    for name, record in records.items():
        sources.setdefault(record.made, []).append(name)
    said = [
        f"`python -m benchmarks{'' if len(sources) == 1 else ' ' + ' '.join(names)}` {source}.\n\n"
        for source, names in sources.items()
    ]
    notes = dict.fromkeys(note for record in records.values() for note in record.notes)
    return (
        f"# Benchmarks\n\n{''.join(said)}"
        f"{sum(row.met is True for row in goals)} of {len(goals)} goals are met.\n\n"
        f"{table(rows)}\n"
        f"## How it is measured\n\n{_METHOD}{''.join(f'- {note}' + chr(10) for note in notes)}"
    )


def write(records: Mapping[str, Record], plots: Sequence[Plot]) -> None:
    """RESULTS.md, and the charts of what was measured now."""
    folder = _HERE / "charts"
    folder.mkdir(exist_ok=True)
    (folder / "ratios.svg").write_text(bar_chart([row for record in records.values() for row in record.rows]), "utf-8")
    for plot in plots:
        (folder / f"{plot.name}.svg").write_text(line_chart(plot), "utf-8")
    names = sorted((path.stem for path in folder.glob("*.svg")), key=lambda name: (name != "ratios", name))
    shown = "".join(f"![{name}](charts/{name}.svg)\n\n" for name in names)
    (_HERE / "RESULTS.md").write_text(f"{report(records)}\n{shown}".rstrip() + "\n", "utf-8")

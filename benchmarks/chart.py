"""Charts as SVG: bars for the ratios, lines for the costs.

Every colour is of middle lightness and there is no background, so that they can be read on white and on black.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import ceil, floor, log10
from xml.sax.saxutils import escape

from benchmarks.results import Line, Plot, Row, times

_INK, _FAINT = "#808080", "#8080804d"
_MET, _MISSED, _NO_GOAL = "#2e9e5b", "#dd6b3f", "#5b8ec4"
_MARKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
_LINES = ("#5b8ec4", "#dd6b3f", "#2e9e5b", "#a374c9")

Scale = Callable[[float], float]


def bar_chart(rows: Sequence[Row]) -> str:
    """How many times as fast as each peer, from 1 to the right or to the left; a line at a bar is its goal.

    A ratio beyond the marks has a bar up to the edge, and its number beside it as all have.
    """
    measured = [row for row in rows if row.speed is not None]
    x = _log_scale(_MARKS, 300, 760)
    parts: list[str] = []
    y = 64
    for work, group in groupby(measured, key=lambda row: row.work):
        y += 26
        parts.append(_text(8, y, work.replace("`", ""), "font-weight='bold'"))
        for row in group:
            y += 18
            parts += _bar(row, x, y)
    grid = [part for mark in _MARKS for part in _grid(x(mark), y, f"{mark:g} ×", strong=mark == 1)]
    return _svg(840, y + 12, "How many times as fast as its peers", [*_legend(), *grid, *parts])


def line_chart(plot: Plot) -> str:
    """A cost against a size, which grows by factors; a cost that does not is a level line."""
    xs = [point[0] for line in plot.lines for point in line.points]
    ys = [point[1] for line in plot.lines for point in line.points]
    marks = _powers_of_ten(ys) if plot.log_y else _round_marks(max(ys))
    x = _log_scale(xs, 70, 520)
    y = _log_scale(marks, 300, 60) if plot.log_y else _linear_scale(marks[-1], 300, 60)
    parts = [_text(70, 44, plot.y), _text(520, 346, plot.x, "text-anchor='end'")]
    for mark in marks:
        parts.append(f"<path d='M70 {y(mark):.1f}H520' stroke='{_FAINT}'/>")
        parts.append(_text(62, y(mark) + 4, f"{mark:,g}", "text-anchor='end'"))
    for size in sorted(set(xs)):
        parts.append(f"<path d='M{x(size):.1f} 300v5' stroke='{_INK}'/>")
        parts.append(_text(x(size), 320, _short(size), "text-anchor='middle'"))
    for line, colour in zip(plot.lines, _LINES, strict=False):
        parts += _line(line, colour, x, y)
    for index, (line, colour) in enumerate(zip(plot.lines, _LINES, strict=False)):
        parts.append(f"<rect x='545' y='{61 + 22 * index}' width='12' height='4' fill='{colour}'/>")
        parts.append(_text(564, 68 + 22 * index, line.name))
    return _svg(840, 360, plot.title, parts)


def _bar(row: Row, x: Scale, y: float) -> Iterator[str]:
    assert row.speed is not None, "only what has a ratio has a bar"
    colour = {True: _MET, False: _MISSED, None: _NO_GOAL}[row.met]
    left, right = sorted((x(1), x(min(max(row.speed, _MARKS[0]), _MARKS[-1]))))
    yield _text(290, y, row.against, "text-anchor='end'")
    yield f"<rect x='{left:.1f}' y='{y - 10}' width='{right - left:.1f}' height='12' fill='{colour}'/>"
    if row.wanted is not None:
        yield f"<path d='M{x(row.wanted):.1f} {y - 13}v18' stroke='{_INK}' stroke-width='2'/>"
    yield _text(832, y, times(row.speed), "text-anchor='end'")


def _legend() -> Iterator[str]:
    x = 300
    for colour, meaning in ((_MET, "goal met"), (_MISSED, "goal missed"), (_NO_GOAL, "no goal")):
        yield f"<rect x='{x}' y='32' width='12' height='12' fill='{colour}'/>"
        yield _text(x + 18, 43, meaning)
        x += 120
    yield f"<path d='M{x + 6} 29v18' stroke='{_INK}' stroke-width='2'/>"
    yield _text(x + 18, 43, "goal")


def _grid(x: float, bottom: float, label: str, *, strong: bool) -> Iterator[str]:
    yield f"<path d='M{x:.1f} 72V{bottom + 6}' stroke='{_INK if strong else _FAINT}'/>"
    yield _text(x, 66, label, "text-anchor='middle'")


def _line(line: Line, colour: str, x: Scale, y: Scale) -> Iterator[str]:
    points = [(x(size), y(cost)) for size, cost in line.points]
    path = " ".join(f"{h:.1f},{v:.1f}" for h, v in points)
    yield f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>"
    yield from (f"<circle cx='{h:.1f}' cy='{v:.1f}' r='3.5' fill='{colour}'/>" for h, v in points)


def _log_scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = log10(min(values)), log10(max(values))
    return lambda value: start + (end - start) * (log10(value) - low) / (high - low)


def _linear_scale(most: float, start: float, end: float) -> Scale:
    return lambda value: start + (end - start) * value / most


def _powers_of_ten(values: Sequence[float]) -> list[float]:
    low = floor(log10(min(values)))
    return [10.0**power for power in range(low, max(low + 1, ceil(log10(max(values)))) + 1)]


def _round_marks(most: float) -> list[float]:
    """0 and up, in five to ten steps of 1, 2 or 5 times a power of ten, past `most`."""
    power = 10.0 ** floor(log10(most / 5))
    step = next(step * power for step in (1, 2, 5, 10) if step * power * 10 >= most)
    return [step * count for count in range(ceil(most / step) + 1)]


def _short(size: float) -> str:
    for unit, factor in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size / factor:g} {unit}"
    return f"{size:,.0f}"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {more}>{escape(text)}</text>"


def _svg(width: int, height: float, title: str, parts: Sequence[str]) -> str:
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'"
    style = f"font-family='system-ui, Helvetica, Arial, sans-serif' font-size='12' fill='{_INK}' role='img'"
    shown = [f"<title>{escape(title)}</title>", _text(8, 20, title, "font-size='15' font-weight='bold'"), *parts]
    return f"{head} {style}>\n" + "\n".join(shown) + "\n</svg>\n"

"""The output of a command: the answer alone on standard output, everything else on standard error.

Control characters of the answer are escaped on a terminal, and unchanged in a pipe or a file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hestiaos_cli._failures import Failure, one_line, tell
from hestiaos_cli._terminal import dim, is_terminal, symbol, visible

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings

__all__ = ["ECHO", "TextOutput", "print_fields", "print_json", "print_lines", "print_text", "remark", "remark_echo"]


ECHO = "no model is configured, so the input is echoed: see 'hestiaos help models'"


class TextOutput:
    """A text that is printed part by part. A surrogate pair may be split between two parts."""

    def __init__(self) -> None:
        self._terminal = is_terminal(sys.stdout)
        self._half = ""
        self._at_line_end = True

    def write(self, part: str) -> None:
        """Print the next part."""
        text = self._half + part
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        self._write(text.removesuffix(self._half))

    def end(self) -> None:
        """Print the end of the line, unless the text has it."""
        self._write(self._half)
        self._half = ""
        if not self._at_line_end:
            self._write("\n")

    def break_off(self) -> None:
        """Begin a new line on a terminal. The output to a pipe or a file ends with the text."""
        if self._terminal:
            self.end()

    def _write(self, text: str) -> None:
        if not text:
            return
        if not text.isascii():
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # joins the halves
        self._at_line_end = text.endswith("\n")  # before writing, since Ctrl-C may come as soon as the text is visible
        sys.stdout.write(visible(text) if self._terminal else text)
        sys.stdout.flush()


def print_text(text: str) -> None:
    """Print a text, and the end of its line unless it has one."""
    output = TextOutput()
    output.write(text)
    output.end()


def print_lines(*lines: str) -> None:
    """Print coloured lines of our own. Control characters in quoted text are escaped already."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def print_json(value: Any, *, compact: bool = False) -> None:
    """Print a JSON document, or one line of JSON. Characters that standard output cannot encode are escaped."""
    text = json.dumps(value, indent=None if compact else 2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=None if compact else 2)
    sys.stdout.write(f"{visible(text) if is_terminal(sys.stdout) else text}\n")
    sys.stdout.flush()


def print_fields(settings: Settings, fields: Mapping[str, Any], *, answer: str | None = None) -> None:
    """Print a result as requested by options: JSON, one field, only its `answer`, or `name: value` lines for people."""
    if settings.field is not None:
        print_text(_raw(_field(fields, settings.field)))
    elif settings.json:
        print_json(fields)
    elif answer is not None:
        print_text(answer)
    else:
        print_text("\n".join(_lines(fields)))


def remark(settings: Settings, *parts: str | None) -> None:
    """Print one dim line on standard error, on a terminal or with `-v`."""
    if settings.verbose or is_terminal(sys.stderr):
        tell(dim(one_line(f" {symbol('·', '-', sys.stderr)} ".join(map(str, filter(None, parts))))))


def remark_echo(settings: Settings) -> None:
    """Print a remark, once, that the echo answered."""
    if settings.echoes and not settings.json:
        remark(settings, ECHO)
        settings.echoes = False


def rounded(value: float) -> str:
    """Format a number for people."""
    if isinstance(value, int) or value == round(value):
        return f"{value:.0f}" if abs(value) < 1e15 else str(value)
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def _field(fields: Mapping[str, Any], path: str) -> Any:
    value: Any = fields
    for name in path.split("."):
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            known = f"there are: {', '.join(value)}" if isinstance(value, Mapping) else "it has no fields"
            raise Failure(f"there is no field '{path}'; {known}", status=2, code="USAGE")
    return value


def _raw(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lines(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Format `name: value` lines, omitting what has no value."""
    lines: list[str] = []
    for name, item in value.items():
        if item is None or item in ([], {}):
            continue
        if isinstance(item, Mapping):
            lines += [f"{indent}{name}:", *_lines(item, f"{indent}  ")]
        elif isinstance(item, list):
            lines.append(f"{indent}{name}:")
            for each in item:
                inner = _lines(each, f"{indent}  ") if isinstance(each, Mapping) else [f"{indent}  {_shown(each)}"]
                lines += [f"{indent}- {inner[0].removeprefix(f'{indent}  ')}", *inner[1:]] if inner else []
        else:
            lines.append(f"{indent}{name}: {_shown(item)}")
    return lines


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return rounded(value) if isinstance(value, int | float) else str(value)

"""Remove a POSIX shell's quoting and expansions from a text, as far as the text alone determines them.

`r\\m "-r"f $'\\x2f'${IFS}"$HOME"` becomes `rm -rf / $HOME` (POSIX.1-2017, Shell Command Language, 2.2 and 2.6). The
values of variables are unknown: a variable is kept, but removed inside a word, where it may be empty. Command
substitutions are replaced if the command prints its operand, the path of a program, or the current directory.
"""

from __future__ import annotations

import re

__all__ = ["unquoted"]

_CHUNK = 256 * 1024  # characters; other threads can run between two chunks

_FIELDS = re.compile(r"\$(?:IFS\b(?:\$[0-9])?|\{IFS\b[^}\s]{0,16}\})")
_ANSI_C = re.compile(r"\$'([^'\\]{0,64}(?:\\.[^'\\]{0,64}){0,64})'", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|([0-7]{1,3})|([tn]))")
_OUTPUT = re.compile(r"(?:\$\(|`) ?(?:(?:echo|printf|which|command -v) ([^\s()`$]{1,64})|(pwd)) ?[)`]")
_EMPTY = re.compile(r"\$(?<=[\w/.-]\$)(?:[@*]|\{[@*\w]{1,64}\}|\( ?\))(?=[\w.-])")


def unquoted(text: str) -> str:
    """Return a text in normal form without quotes and other characters that a shell removes from words."""
    if len(text) <= _CHUNK:
        return _unquoted(text)
    pieces = []
    start = 0
    while start < len(text):
        end = text.find(" ", start + _CHUNK, start + 2 * _CHUNK)
        end = start + 2 * _CHUNK if end < 0 else end
        pieces.append(_unquoted(text[start:end]))
        start = end
    return "".join(pieces)


def _unquoted(text: str) -> str:
    if "$(" in text or "`" in text:
        text = _OUTPUT.sub(_output, text).replace("``", "")
    if "$" in text:
        text = _FIELDS.sub(" ", text)
        text = _ANSI_C.sub(_unescaped, text)
        text = _EMPTY.sub("", text)
        text = text.replace('$"', "")
    return text.replace("'", "").replace('"', "").replace("\\", "")


def _output(command: re.Match[str]) -> str:
    return command[1] or "."


def _unescaped(quoted: re.Match[str]) -> str:
    return _ESCAPE.sub(_character, quoted[1])


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    if code:
        return chr(int(code, 16))
    return chr(int(escape[3], 8) & 0xFF) if escape[3] else " "

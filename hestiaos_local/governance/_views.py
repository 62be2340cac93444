"""The forms of a text that rules of version 2 are applied to. A match in any form counts.

They are the text itself; its normal form; the normal form with percent-encoding (RFC 3986, section 2.1) decoded and
`..` in paths resolved, so that `rm%20-rf%20/tmp/..` becomes `rm -rf /`; and that form without a shell's quoting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hestiaos_local.governance._normal import normalized
from hestiaos_local.governance._shell import unquoted

__all__ = ["views_of"]

_ESCAPES = re.compile("%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*")  # `re` searches quickly for the literal %
_MOST_DECODINGS = 3  # for texts that were encoded more than once
_WORD = re.compile(r"""[^\s"',;|&<>()`]+""")


def views_of(text: str) -> Iterator[str]:
    """Yield the forms of a text. Two of them may be equal."""
    yield text
    normal = normalized(text)
    yield normal
    plain = _decoded(normal) if "%" in normal else normal
    yield _resolved(plain)
    yield _resolved(unquoted(plain))


def _decoded(text: str) -> str:
    for _ in range(_MOST_DECODINGS):
        decoded = _ESCAPES.sub(_characters, text)
        if decoded == text:
            break
        text = normalized(decoded)
    return text


def _characters(escapes: re.Match[str]) -> str:
    return bytes.fromhex(escapes[0].replace("%", "")).decode("utf-8", "replace")


def _resolved(text: str) -> str:
    return _WORD.sub(_resolved_path, text) if "/.." in text else text


def _resolved_path(word: re.Match[str]) -> str:
    """Resolve `..` in a path as far as possible without the file system (RFC 3986, section 5.2.4)."""
    if "/.." not in word[0]:
        return word[0]
    base, *names = word[0].split("/")
    rooted = base == "" or base[-1] in "=:"  # an absolute path, also in of=/dev/sda: `..` of the root is the root
    path = [base]
    for name in names:
        if name != "..":
            path += [name] if name not in ("", ".") else []
        elif len(path) > 1 and path[-1] != "..":
            path.pop()
        elif path[0] not in (".", "..") and path[0][:1] not in "~$" and not rooted:
            path = ["."]
        elif not rooted:
            path.append("..")
    return "/".join(path) if len(path) > 1 or not rooted else f"{base}/"

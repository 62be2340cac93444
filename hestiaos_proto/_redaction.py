"""Hides the API key and secrets in what is quoted from the other side, which may repeat them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any
from urllib.parse import quote

from hestiaos_proto import json

__all__ = ["Redactor"]

_STARS = "***"
_QUOTED = 80  # how much of something wrong is quoted, in characters
_WORD = re.compile(r"\w", re.ASCII)
_SHORT = 6  # a secret with fewer characters may be a part of many words, and is replaced only as a whole word


class Redactor:
    """Replaces each secret by `***`. One that is too short to be a key is not replaced inside a word."""

    def __init__(self, *secrets: str | None) -> None:
        self._secrets = {secret for secret in secrets if secret}
        self._compiled: tuple[re.Pattern[str], re.Pattern[bytes]] | None = None

    @property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[bytes]]:
        # Not a cached_property: Ctrl-C can leave its lock taken, for all instances (python/cpython#87634, until 3.12).
        if self._compiled is None:
            spelled = {each: _pattern(each, secret) for secret in self._secrets for each in _spellings(secret)}
            longest_first = sorted(spelled, key=len, reverse=True)  # one may be the beginning of another
            pattern = "|".join(spelled[each] for each in longest_first)
            self._compiled = re.compile(pattern, re.ASCII), re.compile(pattern.encode())
        return self._compiled

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        return self._patterns[0].sub(_STARS, text) if self._secrets else text

    def data(self, data: bytes) -> bytes:
        """Return `data` without secrets."""
        return self._patterns[1].sub(_STARS.encode(), data) if self._secrets else data

    def pieces(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Return the pieces of one text without secrets, including those that span several pieces.

        There are as many as before. The mask of a secret is in the piece in which it begins.
        """
        if not self._secrets:
            return list(pieces)
        whole = b"".join(pieces)
        spans = deque(match.span() for match in self._patterns[1].finditer(whole))
        cuts, stop, shift = [0], 0, 0
        for end in accumulate(map(len, pieces)):
            while spans and spans[0][0] < end:
                start, stop = spans.popleft()
                shift += start + len(_STARS) - stop
            cuts.append(max(end, stop) + shift)
        clean = self.data(whole)
        return [clean[start:end] for start, end in pairwise(cuts)]

    def joined(self, other: Redactor) -> Redactor:
        """Return a redactor for the secrets of both."""
        return Redactor(*self._secrets, *other._secrets)

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets in its strings and names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value

    def error(self, error: BaseException) -> str:
        """Return the message of another library's exception without secrets.

        The exception is changed too, since a traceback shows it.
        """
        message = str(error)
        masked = self.text(message)
        if masked != message:
            error.args = (masked,)
        return masked

    def quote(self, data: bytes | bytearray | str) -> str:
        """Return the beginning of `data`, escaped, as an error quotes it."""
        # Shortened last, as a secret that is cut would not be found.
        text = self.text(data if isinstance(data, str) else data.decode("utf-8", "replace").strip())
        return repr(text[:_QUOTED]) + ("…" if len(text) > _QUOTED else "")


def _spellings(secret: str) -> set[str]:
    """Return the secret, also as in a URL, a JSON string, and the `repr` of bytes, in which h11 quotes a wrong line."""
    quoted = repr(bytearray(secret.encode()))[len("bytearray(b'") : -len("')")]
    return {secret, quote(secret, safe=""), quoted, quoted.replace("\\'", "'")} | json.spellings(secret)


def _pattern(spelling: str, secret: str) -> str:
    pattern = re.escape(spelling)
    if len(secret) >= _SHORT:
        return pattern
    before, after = (r"(?<!\w)" if _WORD.match(spelling[0]) else ""), (r"(?!\w)" if _WORD.match(spelling[-1]) else "")
    return before + pattern + after

"""Redact secrets in texts: known values, and anything that looks like an API key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from hestiaos_local.governance._engines import Searcher, best_engine
from hestiaos_proto import json

__all__ = ["SecretRedactor"]

_VALUE = "[secret]"
_KEY = "[key]"
_SHORT = 8  # characters; a shorter value is not replaced inside a word

# Well-known formats of API keys, each with its own prefix. RE2 and `re` match them alike.
_KEYS = (
    r"\bsk-[A-Za-z0-9_\-]{16,}",  # OpenAI, Anthropic and others with their format
    r"\b[prs]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"\bhestia_[A-Za-z0-9_\-]{16,}",
    r"\bgh[oprsu]_[A-Za-z0-9]{30,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_\-]{16,}",
    r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}",  # Slack
    r"\bA(?:KIA|SIA)[A-Z0-9]{16}\b",  # AWS
    r"\bAIza[A-Za-z0-9_\-]{35}",  # Google
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bnpm_[A-Za-z0-9]{36}",
    r"\bpypi-[A-Za-z0-9_\-]{32,}",
    r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}",  # a JSON Web Token
    r"\b[Bb]earer +[A-Za-z0-9._~+/\-]{16,}",  # RFC 6750, section 2.1
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[^\-]*-----END (?:[A-Z]+ )*PRIVATE KEY-----",  # RFC 7468
)

_LITERALS = (
    *("sk-", "_live_", "_test_", "hestia_", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "xox"),
    *("AKIA", "ASIA", "AIza", "hf_", "npm_", "pypi-", ".eyJ", "earer ", "PRIVATE KEY-----"),
)
"""Every key contains at least one of these."""


class SecretRedactor:
    """Replaces these values, also as escaped in JSON strings and URLs, and anything that looks like an API key.

    The values are not compiled to a pattern, as there may be thousands, some as long as a certificate.
    """

    def __init__(self, values: Iterable[str]) -> None:
        spelled = {spelling: len(value) < _SHORT for value in values if value for spelling in _spellings(value)}
        # The longest are replaced first, since a value may contain another.
        self._spellings = [(each, _word(each) if spelled[each] else None) for each in sorted(spelled, key=_longest)]

    def text(self, text: str) -> str:
        """Redact a text."""
        pieces = [text]  # the text between the values found so far
        for spelling, word in self._spellings:
            if spelling in text:
                pieces = [
                    part for piece in pieces for part in (piece.split(spelling) if word is None else word.split(piece))
                ]
        return _without_keys(_VALUE.join(pieces))


def _without_keys(text: str) -> str:
    if not _key_searcher.cache_info().currsize and not any(literal in text for literal in _LITERALS):
        return text  # without compiling anything
    pieces: list[str] = []
    place = 0
    for start, end in _key_searcher().search_all(text):
        pieces += (text[place:start], _KEY)
        place = end
    return "".join([*pieces, text[place:]]) if pieces else text


@lru_cache(maxsize=1)
def _key_searcher() -> Searcher:
    return best_engine().compile(_KEYS)


def _spellings(value: str) -> set[str]:
    """Return a value as it is, as escaped in a JSON string, and as escaped in a URL."""
    return {value, quote(value, safe="")} | json.spellings(value)


def _longest(spelling: str) -> tuple[int, str]:
    return -len(spelling), spelling


def _word(spelling: str) -> re.Pattern[str]:
    before, after = (r"\b" if re.match(r"\w", each) else "" for each in (spelling[0], spelling[-1]))
    return re.compile(before + re.escape(spelling) + after)

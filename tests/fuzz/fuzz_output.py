"""`OutputGovernor`: any text, cut anyhow, under any rules, is governed as a judge of the whole text says."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from cutting import choose

from hestiaos_local.governance import Policy
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._syntax import longest, parse, shortest
from tests.support.governed_outputs import governed, judged, policy_of, rule_of

__all__ = ["check"]

_OWN = 0x20  # the text up to its first line break is a pattern
_PATTERNS = (r"\bkey=\w{2,12}\b", "rm -rf /", r"(?i)se(?:cret|nd)s?", r"\d{2}[ -]\d{2}", r"(?m:^)#+ \w", r"\be\b")
_BLOCK = {"decision": "BLOCK"}
_HOW = (_BLOCK, {"redact": "[gone]"}, {"redact": "*", "hold": True}, {**_BLOCK, "shadow": True})


def check(data: bytes) -> None:
    options, _, body, parts = choose(data)
    text = body.decode("utf-8", "replace")
    patterns = [_PATTERNS[(options + number) % len(_PATTERNS)] for number in range(options >> 3 & 3)]
    if options & _OWN:
        pattern, _, text = text.partition("\n")
        if not _is_usable(pattern):
            return
        patterns.append(pattern)
    policy = _policy(tuple(patterns), options & 7)
    places = [0]
    for part in parts:  # their lengths, as characters
        places.append(min(len(text), places[-1] + len(part)))
    pieces = [text[start:stop] for start, stop in pairwise([*places, len(text)])]
    assert governed(policy, pieces) == judged(policy, text)


def _is_usable(pattern: str) -> bool:
    try:
        Re2Engine().compile([pattern])
    except ValueError:
        return False
    try:
        node = parse(pattern)
    except ValueError:
        assert "\\C" in pattern, "RE2 reads it"
        return False
    return 0 < shortest(node) <= longest(node) <= 64


@lru_cache(maxsize=256)
def _policy(patterns: tuple[str, ...], options: int) -> Policy:
    engine = Re2Engine()
    how = [_HOW[(options + number) % len(_HOW)] for number in range(len(patterns))]
    rules = [rule_of(f"r{number}", pattern, engine, **how[number]) for number, pattern in enumerate(patterns)]
    return policy_of(rules, engine)

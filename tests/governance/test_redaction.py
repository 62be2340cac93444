"""What is replaced before something is written: values of secrets, what looks like a key, what rules redact."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local import Policy
from hestiaos_local.governance import Facts, RecordRedactor, SecretRedactor, input_redactor
from hestiaos_local.governance._engines import Searcher
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine
from hestiaos_local.governance._redaction import TextRedactor
from hestiaos_local.governance._secrets import _KEYS

KEYS = [
    "sk-proj-0123456789abcdef",
    "sk-ant-api03-abcdefghij_KLMNOP-0123",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "github_pat_11ABCDEFG0123456789_abcdef",
    "xoxb-1234567890-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-0123456789abcdefghijklmnopqrstu",
    "hf_abcdefghijklmnopqrstuvwxyz012345",
    "glpat-0123456789abcdefghij",
    "sk_live_0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "Bearer 0123456789abcdef0123",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/=\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key(key: str) -> None:
    assert (
        SecretRedactor([]).text(f"it is {key} and no other, {key}, {key}") == "it is [key] and no other, [key], [key]"
    )


@pytest.mark.parametrize("key", KEYS)
def test_it_is_found_without_re2_too(key: str) -> None:
    spans = [engine.compile(_KEYS).search(f"it is {key} and") for engine in (Re2Engine(), ReEngine())]
    assert spans == [(6, 6 + len(key))] * 2


@pytest.mark.parametrize(
    "text", ["ask-me-anything-about-this", "a sk-short", "the bearer of good news", "eyJ.eyJ.x", "AKIA", "task-force"]
)
def test_what_does_not(text: str) -> None:
    assert SecretRedactor([]).text(text) == text


SECRETS = ["hunter2-and-more", "a.b*c+d?e", "two words\nand a line", 'quo"ted\\', "schlüssel", "#-~&"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("spell", [str, json.dumps, partial(json.dumps, ensure_ascii=False), partial(quote, safe="")])
def test_a_secret_in_the_midst_of_a_text(secret: str, spell: Callable[[str], str]) -> None:
    text = SecretRedactor(["other-secret", secret]).text(f"say: {spell(secret)}!")
    assert text.replace('"', "") == "say: [secret]!"


def test_a_short_secret_is_replaced_as_a_word_only() -> None:
    assert SecretRedactor(["1234"]).text("pin 1234, not 912345") == "pin [secret], not 912345"


def test_of_two_secrets_the_longer_is_replaced() -> None:
    redactor = SecretRedactor(["abcdefgh", "abcdefghijkl", ""])
    assert redactor.text("abcdefghijkl abcdefgh") == "[secret] [secret]"


@given(st.lists(st.text('ab"é\n', min_size=8, max_size=12), min_size=1, max_size=3), st.data())
def test_no_secret_is_left(secrets: list[str], data: st.DataObject) -> None:
    """Wherever they stand, one over the other too."""
    parts = st.sampled_from(secrets) | st.sampled_from([each[:5] for each in secrets]) | st.text('ab"é\n', max_size=3)
    text = SecretRedactor(secrets).text("".join(data.draw(st.lists(parts, max_size=8))))
    assert not [secret for secret in secrets if secret in text]


def test_many_secrets_and_a_long_one() -> None:
    long = "0123456789abcdef" * 4096
    redactor = SecretRedactor([long, *(f"secret-number-{number}" for number in range(2000))])
    assert redactor.text(f"{long}, secret-number-1999, secret-number-7") == "[secret], [secret], [secret]"


def test_what_takes_the_place_of_a_secret_is_not_looked_at() -> None:
    assert SecretRedactor(["secret", "a-long-value"]).text("a-long-value is a secret") == "[secret] is a [secret]"


class WholeTexts(ReEngine):
    """An engine for who sees whole texts only."""

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        raise ValueError("pattern too large")

    compile_first = compile_beginnings


def test_what_sees_whole_texts_needs_no_beginnings_of_matches() -> None:
    """They are several times as large as the patterns, which for a few thousand secrets takes seconds."""
    text, [redaction] = TextRedactor(POLICY.rules[:1], WholeTexts()).redact("a 123 b")
    assert (text, redaction.rule) == ("a  b", "digits")


POLICY = Policy.parse(
    """
version = 2
name = "p"
[[rules]]
name = "digits"
on = "output"
pattern = '[0-9]{3}'
action = "redact"
replacement = ""
[[rules]]
name = "of-one-key"
on = "input"
pattern = 'blue'
action = "redact"
keys = ["k"]
[[rules]]
name = "tried-out"
on = "input"
pattern = 'green'
action = "redact"
mode = "shadow"
""",
    "p.toml",
)


def test_a_record_is_without_secrets_and_what_rules_redact() -> None:
    """A secret goes first, so that no rule leaves a part of it, and none comes about by what is left out."""
    redactor = RecordRedactor(POLICY, Facts(key="k"), SecretRedactor(["ab123cd-secret", "new-secret"]))
    assert redactor.text("ab123cd-secret, 456, blue green, new-123secret") == "[secret], , [redacted] green, [secret]"
    assert redactor.name("blue-456-new-secret") == "blue-456-[secret]"


def test_rules_whose_conditions_do_not_hold() -> None:
    assert RecordRedactor(POLICY, Facts(), SecretRedactor([])).text("blue") == "blue"
    assert input_redactor(POLICY, Facts(key="k")).redact("blue 123")[0] == "[redacted] 123"
    assert input_redactor(POLICY, Facts()).redact("blue 123") == ("blue 123", ())

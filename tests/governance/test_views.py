"""The forms of a text that rules look at: escapes are decoded and paths resolved, and nothing else changes."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.governance._normal import normalized
from hestiaos_local.governance._views import views_of
from tests.support.governed_texts import TEXTS


def resolved(text: str) -> str:
    return [*views_of(text)][2]


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("drop%20table", "drop table"),
        ("a%2fb%2FC%c3%A9", "a/b/Cé"),
        ("%E2%80%8Brm%09%20 -rf", "rm -rf"),  # what is decoded is normalised, too
        ("%2520%252520x", " x"),
        ("%25252520", "%20"),  # three times is enough
        ("%ff%41", "\ufffdA"),
        ("100% of %zz and %4", "100% of %zz and %4"),
        ("a+b", "a+b"),
        ("%2e%2e/x%2f..", ".."),
    ],
)
def test_escapes(text: str, decoded: str) -> None:
    assert resolved(text) == decoded


@pytest.mark.parametrize(
    ("path", "shorter"),
    [
        ("/tmp/a/../b", "/tmp/b"),
        ("/tmp/a/../..", "/"),
        ("/..", "/"),
        ("/../x", "/x"),
        ("//a//./b/..", "/a"),
        ("/a/b/../../../../c", "/c"),
        ("a/..", "."),
        ("a/../b", "./b"),
        ("a/../../b", "./../b"),
        ("./a/../..", "./.."),
        ("../a/../..", "../.."),
        ("../../a/..", "../.."),
        ("X/../b", "./b"),
        ("../../../x", "../../../x"),
        ("~/x/..", "~"),
        ("~/x/../../y", "~/../y"),
        ("~bob/..", "~bob/.."),
        ("$HOME/x/../..", "$HOME/.."),
        ("${HOME}/..", "${HOME}/.."),
        ("of=/dev/shm/../sda", "of=/dev/sda"),
        ("of=/..", "of=/"),
        ("host:/a/../..", "host:/"),
        ("https://example.com/a/../b", "https:/example.com/b"),
        ("/a/...", "/a/..."),
        ("/a/..b/c", "/a/..b/c"),
        ("/a/..b/c/..", "/a/..b"),
        ("a..b", "a..b"),
        ("'/a/..' \"/b/../c\";(/d/../e)", "'/' \"/c\";(/e)"),
        ("/a/.. /b/../c\n/d/./e", "/ /c\n/d/./e"),
    ],
)
def test_paths(path: str, shorter: str) -> None:
    assert resolved(path) == shorter


@given(st.lists(st.sampled_from(["a", "b", "..", "...", ".c"]), min_size=1, max_size=8))
def test_a_path_from_the_root_is_resolved_as_posix_does(names: list[str]) -> None:
    path = "/" + "/".join(names)
    assert resolved(path) == posixpath.normpath(path)


@given(TEXTS)
def test_the_normal_form_is_the_last_where_nothing_is_escaped_quoted_or_goes_up(text: str) -> None:
    raw, normal, *more = views_of(text)
    assert (raw, normal) == (text, normalized(text))
    if not any(sign in normal for sign in ("%", "/..", "'", '"', "\\", "$", "`")):
        assert set(more) == {normal}


@given(TEXTS)
def test_what_a_shell_reads_has_no_quotes(text: str) -> None:
    last = [*views_of(text)][-1]
    assert not set("'\"\\") & set(last)

"""A text as a shell reads it: quotes go, and what is empty within a word."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.governance._shell import unquoted


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("plain words", "plain words"),
        (r"""r\m "-r"f '/'""", "rm -rf /"),
        ("d''d of=/dev/\"sda\"", "dd of=/dev/sda"),
        ('"$HOME"/x', "$HOME/x"),
        ("rm${IFS}-rf$IFS/", "rm -rf /"),
        ("rm$IFS$9-rf${IFS%?}/", "rm -rf /"),
        ("$IFSX ${IFSX}", "$IFSX ${IFSX}"),
        (r"$'\x72\155' $'\u002f' $'a\tb'", "rm / a b"),
        ('$"/"', "/"),
        ("r$@m r$*m r${x}m r$()m r``m /etc/${x}shadow", "rm rm rm rm rm /etc/shadow"),
        ("${DIR}/x $DIR/y a/${DIR} a$b", "${DIR}/x $DIR/y a/${DIR} a$b"),
        ("$(echo rm) `which rm` $(command -v rm) rm `pwd` $( pwd )", "rm rm rm rm . ."),
        ("$(date) `date`", "$(date) `date`"),
    ],
)
def test_what_a_shell_reads(text: str, read: str) -> None:
    assert unquoted(text) == read


@given(st.text("ab /-'\"\\", max_size=12))
def test_words_that_a_shell_can_read_keep_their_letters(text: str) -> None:
    try:
        words = shlex.split(text)
    except ValueError:  # a quote is not closed
        return
    without = str.maketrans("", "", "'\"\\ ")
    assert unquoted(text).translate(without) == "".join(words).translate(without)


@pytest.mark.parametrize("filler", ["x ", "x", "$ ", "`a"])
def test_a_long_text_is_read_in_pieces(filler: str) -> None:
    text = filler * (600 * 1024 // len(filler))
    assert unquoted(text + " r''m") == text + " rm"

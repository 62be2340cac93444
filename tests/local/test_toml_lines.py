"""The lines of a TOML document's keys."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.toml import KeyLines, Path

DOCUMENT = "\n".join(
    [
        "# [commented]",
        "a = 1  # b = 2",
        '"b c" = """',
        "d = 1",
        '"quoted" ""',
        "[e]",
        '\\""" """"',
        "f = '''",
        "[[g]]",
        "'x'''''",
        'h.i . "j" = [ # a comment with ] and "',
        '  "]", 1, { k = "}" },',
        "]",
        'l = "a # no comment"',
        "[m.n]",
        "o = 1979-05-27T07:32:00Z",
        "",
        "[[p]]",
        "q = '\"'",
        "[p.r]",
        "s = {t = [1, 2]}",
        "[[p]]",
        "[[p.u]]",
        "v = 1",
        "[[p.u]]",
        "  [ w . 'x' ]  # end",
        "y = true",
    ]
)

LINES: dict[Path, int] = {
    ("a",): 2,
    ("b c",): 3,
    ("f",): 8,
    ("h",): 11,
    ("h", "i", "j"): 11,
    ("h", "i", "j", 2, "k"): 11,
    ("l",): 14,
    ("m",): 15,
    ("m", "n", "o"): 16,
    ("p",): 18,
    ("p", 0): 18,
    ("p", 0, "q"): 19,
    ("p", 0, "r"): 20,
    ("p", 0, "r", "s"): 21,
    ("p", 0, "r", "s", "t"): 21,
    ("p", 1): 22,
    ("p", 1, "u"): 23,
    ("p", 1, "u", 0): 23,
    ("p", 1, "u", 0, "v"): 24,
    ("p", 1, "u", 1): 25,
    ("w", "x"): 26,
    ("w", "x", "y"): 27,
    ("nothing",): 1,
    (): 1,
}


@pytest.mark.parametrize(("path", "line"), LINES.items(), ids=map(str, LINES))
def test_a_key_is_found(path: Path, line: int) -> None:
    tomllib.loads(DOCUMENT)
    assert KeyLines(DOCUMENT).line(path) == line


KEYS = st.sampled_from(["a", "b", "c-1", '"d e"', "'f.g'", '"h\\u0069"'])
VALUES = st.sampled_from(
    [
        *("1", '"x"', "'[[a]]'", '"""\nb = 1\n[c]\n"""', "'''\n[[a]]\n'''''", '""', "''", '"\\""', "[]", "{}"),
        *("[\n1, # ]\n2]", '{a = "}", b = [1]}', "[[1], ['[']]", "true", "1979-05-27", '"""a"""""', '"""\\\\"""'),
    ]
)
STATEMENTS = st.one_of(
    st.tuples(st.lists(KEYS, min_size=1, max_size=2).map(" . ".join), VALUES).map(" = ".join),
    st.lists(KEYS, min_size=1, max_size=2).map(lambda keys: f"[{'.'.join(keys)}]"),
    st.lists(KEYS, min_size=1, max_size=2).map(lambda keys: f"[[ {'.'.join(keys)} ]]"),
    st.sampled_from(["", '# [x] = "', "  "]),
)


def leaves(value: Any, path: Path = ()) -> list[Path]:
    """The path of each value of a document that is not a table, and of each table that is written."""
    if isinstance(value, dict):
        return [path, *(leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key)))]
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, (*path, index))]
    return [path]


@given(st.lists(STATEMENTS, max_size=8))
def test_a_document_is_gone_through_to_its_end(statements: list[str]) -> None:
    """In any document that `tomllib` reads, a key that is added in a table of its own at the end is found there."""
    text = "\n".join([*statements, "[added]", "key = 1"])
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = KeyLines(text)
    last = text.count("\n") + 1
    assert lines.line(("added", "key")) == last
    assert lines.line(("added",)) == last - 1
    assert all(1 <= lines.line(path) <= last for path in leaves(document))

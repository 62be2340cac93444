"""JSON is read strictly, and msgspec gives what the standard library gives."""

from __future__ import annotations

import importlib.util
import random
import sys
from typing import Any

import pytest

from hestiaos_proto import json

REFUSED = {
    "empty": b"",
    "white space only": b" \n",
    "byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b"NaN",
    "NaN inside": b'{"a":NaN}',
    "Infinity": b"Infinity",
    "-Infinity": b"[-Infinity]",
    "1e400": b"1e400",
    "-1e400": b"[-1e400]",
    "just over a double": b"1.7976931348623159e308",
    "a fraction of 5,000 digits": b"1" * 5000 + b".0",
    "an integer of 4,301 digits": b"9" * 4301,
    "an integer of 100,000 digits": b"9" * 100_000,
    "trailing text": b"{} x",
    "trailing value": b"1 2",
    "trailing NUL": b"{}\0",
    "leading zero": b"01",
    "leading plus": b"+1",
    "no digit before the point": b".5",
    "no digit after the point": b"1.",
    "no exponent": b"1e",
    "hexadecimal": b"0x10",
    "underscore": b"1_0",
    "trailing comma in a list": b"[1,]",
    "trailing comma in an object": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "number as a key": b"{1:2}",
    "comment": b"/**/1",
    "form feed": b"\f1",
    "no-break space": b"\xc2\xa01",
    "NUL in a string": b'"\0"',
    "tab in a string": b'"\t"',
    "LF in a string": b'"\n"',
    "U+001F in a string": b'"\x1f"',
    "unknown escape": rb'"\v"',
    "short escape": rb'"\u00"',
    "escape with a sign": rb'"\u+123"',
    "escape with an underscore": rb'"\u1_23"',
    "escape cut after a surrogate": rb'"\ud800\u"',
    "string without end": b'"a',
    "string that ends in a backslash": b'"a\\',
    "list without end": b"[1",
    "wrong bracket": b"[}",
    "byte 0xFF": b'"\xff"',
    "overlong NUL": b'"\xc0\x80"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "beyond U+10FFFF": b'"\xf4\x90\x80\x80"',
    "cut UTF-8": b'"\xe2\x80"',
    "invalid UTF-8 after the value": b"1\xff",
    "capitals": b"True",
    "cut word": b"tru",
}

READ: dict[str, tuple[bytes, Any]] = {
    "0": (b"0", 0),
    "-0": (b"-0", 0),
    "-0.0": (b"-0.0", -0.0),
    "2**53 + 1": (b"9007199254740993", 2**53 + 1),
    "2**63": (b"9223372036854775808", 2**63),
    "-2**63 - 1": (b"-9223372036854775809", -(2**63) - 1),
    "2**64": (b"18446744073709551616", 2**64),
    "10**100": (b"1" + b"0" * 100, 10**100),
    "an integer of 4,300 digits": (b"9" * 4300, 10**4300 - 1),
    "a negative one": (b"-" + b"9" * 4300, 1 - 10**4300),
    "a fraction of 5,000 digits": (b"0." + b"3" * 5000, 1 / 3),
    "1e5 is a fraction": (b"1e5", 1e5),
    "1E+5": (b"1E+5", 1e5),
    "largest": (b"1.7976931348623157e308", 1.7976931348623157e308),
    "smallest": (b"5e-324", 5e-324),
    "too small is 0": (b"1e-400", 0.0),
    "0e999": (b"0e999", 0.0),
    "halfway": (b"9007199254740993.0", 9007199254740992.0),
    "white space": (b" \t\r\n{} \t\r\n", {}),
    "last of duplicate keys": (b'{"a":1,"a":2}', {"a": 2}),
    "duplicate by escape": (rb'{"a":1,"\u0061":2}', {"a": 2}),
    "empty key": (b'{"":0}', {"": 0}),
    "every escape": (rb'"\"\\\/\b\f\n\r\t\u00e9\u0000"', '"\\/\b\f\n\r\té\0'),
    "pair": (rb'"\ud83d\ude00"', "😀"),
    "pair in capitals": (rb'"\uD83D\uDE00"', "😀"),
    "lone high": (rb'"\ud800"', "\ud800"),
    "lone low": (rb'"\udc00"', "\udc00"),
    "reversed pair": (rb'"\ude00\ud83d"', "\ude00\ud83d"),
    "high before an escape": (rb'"\ud800\u0041"', "\ud800A"),
    "high before a short escape": (rb'"\ud800\n"', "\ud800\n"),
    "high before text": (rb'"\ud800A"', "\ud800A"),
    "high before UTF-8": ('"\\ud800é"'.encode(), "\ud800é"),
    "high before a pair": (rb'"\ud800\ud83d\ude00"', "\ud800😀"),
    "low after a pair": (rb'"\ud83d\ude00\ude00"', "😀\ude00"),
    "two high": (rb'"\ud800\udbff"', "\ud800\udbff"),
    "high before U+E000": (rb'"\ud800\ue000"', "\ud800\ue000"),
    "lone in a key": (rb'{"\ud800":[]}', {"\ud800": []}),
    "lone after text": (rb'["x\udfff","y"]', ["x\udfff", "y"]),
    "U+2028, U+0085, DEL": ('"\u2028\u0085\x7f"'.encode(), "\u2028\u0085\x7f"),
    "U+10FFFF": ('"\U0010ffff"'.encode(), "\U0010ffff"),
    "brackets in strings": (b'["' + b"[{" * 500 + b'"]', ["[{" * 500]),
    "brackets after escaped quotes": (rb'["\"' + b"[" * 500 + rb'\\"]', ['"' + "[" * 500 + "\\"]),
}

refused = pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
read = pytest.mark.parametrize(("text", "value"), READ.values(), ids=READ)
readers = pytest.mark.parametrize("reader", [json.loads, json._read_plain], ids=["loads", "standard library"])


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@refused
@readers
def test_what_is_not_json_is_a_value_error(reader, text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        reader(text)


@refused
def test_the_complaint_is_the_same_with_and_without_msgspec(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w") as ours:
        json.loads(text)
    with pytest.raises(ValueError, match=r"\w") as plain:
        json._read_plain(text)
    assert (type(ours.value), str(ours.value)) == (type(plain.value), str(plain.value))


@read
@readers
def test_values(reader, text: bytes, value: object) -> None:
    assert repr(reader(text)) == repr(value)  # repr tells 1 from 1.0 from True, and -0.0 from 0.0


def test_msgspec_accepts_nothing_that_the_standard_library_reads_otherwise() -> None:
    """Texts put together from JSON's own pieces, most of them wrong somewhere."""
    tokens = [bytes([byte]) for byte in b'{}[]:,"\\-.eE+ \n\r\t019a\x00\x1f\x7f\xff']
    tokens += [
        rb"\u",
        b"d800",
        b"dc00",
        b"0041",
        b'"k":',
        b'"v"',
        b"true",
        b"null",
        b"1e308",
        b"\xc3\xa9",
        b"\xef\xbb\xbf",
    ]
    random_source = random.Random(20250101)
    for _ in range(30_000):
        text = b"".join(random_source.choices(tokens, k=random_source.randint(1, 8)))
        text = random_source.choice([text, b'"' + text + b'"', b"[" + text + b"]", b'{"k":' + text + b"}"])
        assert outcome(json.loads, text) == outcome(json._read_plain, text), text


def outcome(reader, text: bytes) -> str:
    try:
        return repr(reader(text))
    except ValueError as error:
        return f"refused: {error}"


@pytest.mark.parametrize("depth", [1, 127, 128])
@readers
def test_depth_up_to_the_limit(reader, depth: int) -> None:
    value = reader(nested(depth))
    for _ in range(depth - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize(
    "text",
    [
        nested(129),
        nested(100_000),
        b"[" * 300,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":[' * 65 + b"]}" * 65,
        rb'["\\",' + nested(128) + b"]",
        rb'["\"",' + nested(128) + b"]",
    ],
    ids=["129", "100,000", "300 open", "100,000 open", "objects", "mixed", "after a backslash", "after a quote"],
)
def test_deeper_than_the_limit_is_refused_before_anything_recurses(text: bytes) -> None:
    with pytest.raises(ValueError, match="JSON is nested deeper than 128"):
        json.loads(text)


def test_many_brackets_that_are_not_deep() -> None:
    assert json.loads(b"[" + b"[],{}," * 1000 + b"0]") == [[], {}] * 1000 + [0]


@pytest.mark.parametrize(
    "text", [b'{"password":"hunter2",}', b'"hunter2', b'hunter2"', b'["hunter2" 1]', b'"hunter2\xff"', b'"\\hunter2"']
)
def test_no_message_quotes_the_text(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        json.loads(text)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


def test_a_message_names_the_place() -> None:
    with pytest.raises(ValueError, match="at line 2 column 3"):
        json.loads(b"[1,\n  x]")
    with pytest.raises(ValueError, match="byte 2 is not UTF-8"):
        json.loads(b'"a\xff"')


@pytest.mark.parametrize(
    ("part", "depth", "unclosed", "in_string"),
    [
        (b"", 0, 0, False),
        (b"{}", 1, 0, False),
        (b'{"a":[1', 2, 2, False),
        (b"[]]}", 1, -2, False),
        (b'"[[[[', 0, 0, True),
        (b'{"a":"[', 1, 1, True),
        (rb'["\"[', 1, 1, True),
        (rb'["\\",[', 2, 2, False),
        (b'["a\\', 1, 1, True),
        (b'"a""b"', 0, 0, False),
        (b'"\n"[', 1, 1, False),
        (b"[[],[[]]", 3, 1, False),
    ],
    ids=str,
)
def test_the_beginning_of_a_text(part: bytes, depth: int, unclosed: int, in_string: bool) -> None:
    assert (json.depth(part), json.unclosed(part), json.ends_in_string(part)) == (depth, unclosed, in_string)


def test_a_string_without_end_is_scanned_once() -> None:
    """A million escaped quotes, each of which could begin a string: scanned from each it would take hours."""
    text = b"[" * 129 + b'"' + b'\\"' * 1_000_000
    assert json.ends_in_string(text)
    assert json.unclosed(text) == 129
    with pytest.raises(ValueError, match="deeper"):
        json.loads(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, None, True]}, b'{"a":[1,2.5,null,true]}'),
        ("é😀\u2028\0", '"é😀\u2028\\u0000"'.encode()),
        ({}, b"{}"),
        (10**100, b"1" + b"0" * 100),
    ],
    ids=repr,
)
def test_dumps_is_compact_utf8(value: object, text: bytes) -> None:
    assert json.dumps(value) == text
    assert json.dumps(value, sort_keys=True) == text
    assert json.loads(text) == value


def test_dumps_sorts_keys_at_every_depth() -> None:
    first, second = {"b": [{"d": 1, "c": "é"}], "a": 2}, {"a": 2, "b": [{"c": "é", "d": 1}]}
    assert (
        json.dumps(first, sort_keys=True)
        == json.dumps(second, sort_keys=True)
        == '{"a":2,"b":[{"c":"é","d":1}]}'.encode()
    )
    assert json.dumps(first) != json.dumps(second)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (float("nan"), ValueError),
        ([float("inf")], ValueError),
        ("hunter2\ud800", ValueError),
        ({"hunter2\udc00": 1}, ValueError),
        ({"hunter2": {1, 2}}, TypeError),
        ({"hunter2": b"hunter2"}, TypeError),
        ({("hunter2",): 1}, TypeError),
    ],
    ids=["NaN", "Infinity", "surrogate", "surrogate in a key", "set", "bytes", "key"],
)
def test_dumps_refuses_what_json_cannot_say_and_does_not_quote_it(value: object, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        json.dumps(value)
    assert "hunter2" not in str(caught.value)


def test_dumps_refuses_what_contains_itself_or_is_too_deep() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match=r"[Cc]ircular|contains itself"):
        json.dumps(circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        json.dumps(deep)
    while deep:  # taken apart by hand: Python would recurse
        (deep,) = deep


def test_without_msgspec_the_standard_library_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec.json", None)  # an import of it fails, as where it is not installed
    spec = importlib.util.spec_from_file_location("json_without_msgspec", json.__file__)
    assert spec is not None
    assert spec.loader is not None
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert plain.record_reader(("a", int)) is None
    assert plain.loads(b'{"a": [1, 2.5, "\\u00e9"]}') == {"a": [1, 2.5, "é"]}
    with pytest.raises(ValueError, match="nested deeper"):
        plain.loads(b"[" * 300)


class TestBrackets:
    def test_a_text_that_is_shallow_by_its_length_is_as_deep_as_allowed_at_most(self) -> None:
        assert json.depth(nested(json.SHALLOW // 2)) == json.MAX_DEPTH
        assert not json.is_deep(nested(json.SHALLOW // 2))
        assert json.is_deep(nested(json.SHALLOW // 2 + 1))

    def test_at_the_limit_beside_other_brackets(self) -> None:
        text = b"[" * 128 + b"]" * 127 + b",[],{}]"
        assert not json.is_deep(text)
        assert len(json.loads(text)) == 3

    def test_only_brackets_count(self) -> None:
        everything = bytes(set(range(256)) - set(b'[]{}"'))
        assert json.depth(everything + b"[" + everything + b"{" + everything) == 2
        assert json.unclosed(everything + b"[" + everything + b"{}" + everything) == 1

    def test_an_escaped_line_end_ends_no_string(self) -> None:
        assert json.ends_in_string(b'"\\\n')
        assert not json.ends_in_string(b'"\\\n"')
        assert json.unclosed(b'"\\\n[[[" [') == 1


class TestMessages:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b"[1e400]", "a number is too large for a double"),
            (b"[NaN]", "NaN is not JSON"),
            (b"[-Infinity]", "-Infinity is not JSON"),
        ],
        ids=["1e400", "NaN", "-Infinity"],
    )
    def test_a_number_that_is_not_valid(self, text: bytes, message: str) -> None:
        with pytest.raises(ValueError, match=f"^{message}$"):
            json.loads(text)

    def test_a_lone_surrogate_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"^a lone surrogate \(U\+D8FF\) cannot be sent as UTF-8$"):
            json.dumps("a\ud8ff")


@pytest.mark.skipif(importlib.util.find_spec("msgspec") is None, reason="msgspec is not installed")
def test_msgspec_reads_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[bytes] = []
    fast = json._read_fast
    monkeypatch.setattr(json, "_read_fast", lambda text: texts.append(text) or fast(text))
    assert json.loads(b"[1]") == [1]
    assert texts == [b"[1]"]


@pytest.mark.skipif(importlib.util.find_spec("msgspec") is None, reason="msgspec reads records")
class TestRecordReader:
    def test_what_is_missing_has_its_default(self) -> None:
        read = json.record_reader(("name", str), ("size", int, 7))
        record = read(b'{"name": "a"}')
        assert (record.name, record.size) == ("a", 7)
        assert read(b'{"size": 1, "name": "b"}').size == 1

    @pytest.mark.parametrize(
        "text",
        [b'{"name": "a", "more": 1}', b"{}", b'{"name": 1}', b'{"name": "a"', b"[]", b'{"name": "\xff"}', b""],
        ids=["another field", "one missing", "another type", "cut", "a list", "no UTF-8", "nothing"],
    )
    def test_texts_that_are_left_to_loads(self, text: bytes) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            json.record_reader(("name", str))(text)

    def test_without_msgspec_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json, "_read_fast", None)
        assert json.record_reader(("name", str)) is None


def test_how_writers_of_json_spell_a_text_inside_a_string() -> None:
    assert json.spellings("plain") == {"plain"}
    assert json.spellings('é"\n') == {'é\\"\\n', '\\u00e9\\"\\n'}

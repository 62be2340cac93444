"""What is quoted from the other side holds neither the API key nor a secret, however the other side spells them."""

from __future__ import annotations

import json
import re
import traceback

import pytest

from hestiaos_proto import ClientConnection, Config, HestiaError, Response, RunStream, operations
from hestiaos_proto._redaction import Redactor

KEY = 'sk-"quoted"\\4711'


@pytest.mark.parametrize("text", ["sk-4711", "a sk-4711 b sk-4711", "sk-4711extra"])
def test_every_occurrence_is_masked(text: str) -> None:
    assert "4711" not in Redactor("sk-4711").text(text)


def test_the_longer_of_two_is_masked_first() -> None:
    assert Redactor("key", "key-chain").text("key-chain key") == "*** ***"


def test_what_is_not_a_secret_is_left() -> None:
    assert Redactor(None, "").value({"a": ["b", 1, None]}) == {"a": ["b", 1, None]}


def test_names_and_nested_values_are_masked() -> None:
    assert Redactor("s3cret").value({"s3cret": [{"x": "s3crets3cret"}, 3]}) == {"***": [{"x": "******"}, 3]}


@pytest.mark.parametrize("key", ["n", "no", "4711", "e", "status"[:5]])
def test_a_key_that_is_too_short_to_be_one_is_not_masked_inside_words(key: str) -> None:
    message = f"no connection: status 47110, {key}e, e{key} and {key}_ are not {key}, {key}-1 or ({key})"
    expected = re.sub(rf"\b{key}\b", "***", message)
    assert expected.count("***") >= 3
    assert Redactor(key).text(message) == expected
    assert Redactor(key).data(message.encode()) == expected.encode()
    assert Redactor(key, "connection").text("no connection") == re.sub(rf"\b{key}\b", "***", "no ***")


def test_a_short_key_with_punctuation_at_its_ends() -> None:
    assert Redactor("-n-").text("a-n-b -n- n") == "a***b *** n"


def test_a_key_of_six_characters_is_masked_inside_words() -> None:
    assert Redactor("abcde").text("xabcdex") == "xabcdex"
    assert Redactor("abcdef").text("xabcdefx") == "x***x"


def test_a_secret_is_masked_as_json_spells_it() -> None:
    assert "4711" not in Redactor(KEY).quote(json.dumps({"echo": KEY}).encode())
    assert "4711" not in Redactor(KEY).data(json.dumps([KEY]).encode()).decode()


@pytest.mark.parametrize("ahead", range(60, 90))
def test_a_quote_does_not_cut_a_secret_in_two(ahead: int) -> None:
    quoted = Redactor("secret-4711-abcdefghijk").quote(b"x" * ahead + b"secret-4711-abcdefghijk" + b"y" * 500)
    assert "secret" not in quoted
    assert len(quoted) < 100


def test_a_secret_is_masked_as_writers_of_ascii_json_spell_it() -> None:
    assert Redactor("é-4711\n").data(b'{"m":"\\u00e9-4711\\n"') == b'{"m":"***"'


@pytest.mark.parametrize("key", ["k'4711", "k\\4711", 'k"4711', "k'\"4711", "k'\\4711", "k'é4711"])
@pytest.mark.parametrize("quoted", [bytes, bytearray])
def test_a_secret_is_masked_as_the_repr_of_bytes_spells_it(key: str, quoted: type[bytes | bytearray]) -> None:
    assert "4711" not in Redactor(key).text(f"illegal header line: {quoted(b'X : ' + key.encode())!r}")


def test_a_key_in_a_line_that_is_not_a_header_does_not_get_into_the_error() -> None:
    connection = ClientConnection(api_key="k'4711")
    connection.send(operations.health())
    connection.receive_data(b"HTTP/1.1 200 OK\r\nAuthorization : Bearer k'4711\r\n\r\n")
    with pytest.raises(HestiaError, match="illegal header line") as caught:
        list(connection.events())
    assert "4711" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("times", [1, 2, 8, 1000])
def test_a_quote_of_many_secrets_shows_nothing_of_one(times: int) -> None:
    key = "sk-" + "ABCDEFGHIJ" * 16
    assert "ABC" not in Redactor(key).quote((key * times).encode())


@pytest.mark.parametrize("kind", ["sk-4711", "x" * 10_000, "\ud800"], ids=["key", "long", "surrogate"])
def test_the_type_that_breaks_the_order_is_masked_and_short(kind: str) -> None:
    stream = RunStream(redactor=Redactor("sk-4711"))
    for one in ("start", "final", "done", kind):
        stream.receive_data(b"data: " + json.dumps({"type": one}).encode() + b"\n\n")
    with pytest.raises(HestiaError) as caught:
        list(stream.events())
    assert "4711" not in caught.value.message
    assert len(caught.value.message) < 200


def test_a_stream_that_echoes_the_key_does_not_bring_it_into_an_error() -> None:
    config = Config(api_key="sk-4711")
    redactor = operations.run_stream("x").redactor(config)
    stream = RunStream(redactor=redactor)
    stream.receive_data(b"data: Authorization: Bearer sk-4711\n")
    with pytest.raises(HestiaError) as caught:
        list(stream.events())
    assert "Bearer ***" in str(caught.value)

    page = Response(200, [(b"content-type", b"text/html")], redactor=redactor)
    page.receive_data(b"<pre>Authorization: Bearer sk-4711</pre>")
    with pytest.raises(HestiaError) as caught:
        operations.run_stream("x").read(page)
    assert "Bearer ***" in str(caught.value)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nBearer SK-4711\r\n\r\n",
        b"HTTP/1.1 200 SK-4711\r\nContent-Length: SK-4711\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: SK-4711\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Type: SK-4711\r\nContent-Length: 1\r\n\r\nx",
    ],
    ids=["a line without colon", "the length", "the content coding", "the content type"],
)
def test_a_head_that_echoes_the_key_does_not_bring_it_into_an_error_or_its_cause(head: bytes) -> None:
    connection = ClientConnection(api_key="SK-4711")
    connection.send(operations.run_stream("x"))
    connection.receive_data(head)
    with pytest.raises(HestiaError) as caught:
        list(connection.events())
    assert "4711" not in "".join(traceback.format_exception(caught.value))


class TestExactly:
    """Nothing but the secret is masked, however it is spelled, and three stars stand there."""

    def test_a_secret_as_it_stands_and_as_json_spells_it(self) -> None:
        redactor = Redactor('a"b')
        assert redactor.text('x a"b y a\\"b z') == "x *** y *** z"
        assert redactor.data(b'x a"b y a\\"b z') == b"x *** y *** z"

    def test_a_secret_at_the_end_of_another(self) -> None:
        assert Redactor("key", "chain-key").text("chain-key key") == "*** ***"
        assert Redactor("chain-key", "key").data(b"chain-key key") == b"*** ***"

    def test_an_exception_that_says_no_secret_is_left_as_it_is(self) -> None:
        error = OSError(2, "no such file")
        assert Redactor("hunter2").error(error) == "[Errno 2] no such file"
        assert error.args == (2, "no such file")

    def test_an_exception_that_says_one_is_changed(self) -> None:
        error = ValueError("not hunter2", 1)
        assert Redactor("hunter2").error(error) == "('not ***', 1)"
        assert error.args == ("('not ***', 1)",)


class TestQuote:
    """The first 80 characters, and whether there are more."""

    @pytest.mark.parametrize(
        ("data", "quoted"),
        [
            (b"", "''"),
            (b" \r\n a ", "'a'"),
            (b"it's", '"it\'s"'),
            (b"x" * 80, repr("x" * 80)),
            (b"x" * 81, repr("x" * 80) + "…"),
            (b"x" * 100_000, repr("x" * 80) + "…"),
            (("😀" * 80).encode(), repr("😀" * 80)),
            (("😀" * 79 + "é" + "x").encode(), repr("😀" * 79 + "é") + "…"),
            (b"\xff{\xc3", repr("\ufffd{\ufffd")),
        ],
        ids=[
            "nothing",
            "white space around",
            "a quote",
            "80",
            "81",
            "many",
            "80 of four bytes",
            "81 of several",
            "bytes",
        ],
    )
    @pytest.mark.parametrize(
        "redactor", [Redactor(), Redactor("hunter2"), Redactor("hunter2" * 20)], ids=["no", "short", "long"]
    )
    def test_what_is_quoted(self, redactor: Redactor, data: bytes, quoted: str) -> None:
        assert redactor.quote(data) == quoted
        assert redactor.quote(bytearray(data)) == quoted

    def test_a_masked_secret_counts_as_three_characters(self) -> None:
        assert Redactor("hunter2" * 20).quote(b"hunter2" * 20 + b"x" * 77) == repr("***" + "x" * 77)
        assert Redactor("hunter2" * 20).quote(b"x" * 79 + b"hunter2" * 20) == repr("x" * 79 + "*") + "…"


@pytest.mark.parametrize("size", range(1, 12))
def test_a_secret_that_lies_in_several_pieces_is_masked(size: int) -> None:
    """The pieces are as many as before, and what was no secret stays in its piece."""
    text = b"a sk-4711, hunter2hunter2 and b"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    clean = Redactor("sk-4711", "hunter2").pieces(pieces)
    assert b"".join(clean) == b"a ***, ****** and b"
    assert len(clean) == len(pieces)
    assert clean[-1] == pieces[-1] if size <= 6 else clean[-1].endswith(b"b")


def test_pieces_around_a_secret_keep_their_boundaries() -> None:
    redactor = Redactor("sk-4711")
    assert redactor.pieces([b"ab", b"sk-4711", b"", b"cd"]) == [b"ab", b"***", b"", b"cd"]
    assert redactor.pieces([b"ask", b"-47", b"11b", b"c"]) == [b"a***", b"", b"b", b"c"]
    assert redactor.pieces([]) == []
    assert Redactor().pieces([b"sk", b"-4711"]) == [b"sk", b"-4711"]


def test_two_together_hide_what_each_hides() -> None:
    assert Redactor("sk-4711").joined(Redactor("hunter2")).text("sk-4711 hunter2") == "*** ***"

"""`StreamEvent`: read from a decoded payload, or, with msgspec, from its bytes at once, and written again."""

from __future__ import annotations

import copy
import importlib.util
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from hestiaos_proto import RemoteProtocolError, StreamEvent, json
from hestiaos_proto import _events as events
from hestiaos_proto._events import parse_event, read_event, read_events, read_text_events
from hestiaos_proto._redaction import Redactor

FULL = {"type": "token", "data": {"text": "a"}, "trace_id": "t1", "timestamp": "2025-01-01T00:00:00Z"}

fast = pytest.mark.skipif(importlib.util.find_spec("msgspec") is None, reason="without msgspec there is no fast way")


class TestFromWire:
    def test_every_field(self) -> None:
        event = StreamEvent.from_wire(dict(FULL))
        assert event == StreamEvent("token", {"text": "a"}, "t1", "2025-01-01T00:00:00Z")
        assert event.extra == {}

    @pytest.mark.parametrize("none", [{}, {"trace_id": None, "timestamp": None}], ids=["missing", "null"])
    def test_only_the_type_is_needed(self, none: dict[str, Any]) -> None:
        event = StreamEvent.from_wire({"type": "done"} | none)
        assert (event.type, event.data, event.trace_id, event.timestamp, event.extra) == ("done", {}, "", "", {})

    def test_the_data_of_an_event_that_has_none_is_its_own(self) -> None:
        StreamEvent.from_wire({"type": "done"}).data["text"] = "a"
        assert StreamEvent.from_wire({"type": "done"}).data == {}
        StreamEvent("done").data["text"] = "a"
        assert StreamEvent("done").data == {}

    def test_an_unknown_type_and_further_fields_are_kept(self) -> None:
        event = StreamEvent.from_wire(FULL | {"type": "news", "seq": 1})
        assert event.type == "news"
        assert event.extra == {"seq": 1}
        assert event.to_wire() == FULL | {"type": "news", "seq": 1}

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"type": 1}, "the event: the field 'type' must be a string, not a number"),
            ({"type": True}, "the event: the field 'type' must be a string, not a boolean"),
            ({"type": None}, "the event: the field 'type' is missing"),
            ({"data": None}, "the event: the field 'data' must be an object, not null"),
            ({"data": []}, "the event: the field 'data' must be an object, not a list"),
            ({"trace_id": 1.5}, "the event: the field 'trace_id' must be a string or null, not a number"),
            ({"timestamp": {}}, "the event: the field 'timestamp' must be a string or null, not an object"),
        ],
        ids=str,
    )
    def test_a_wrong_field_is_named(self, changed: dict[str, Any], message: str) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            StreamEvent.from_wire(FULL | changed)
        assert caught.value.message == message

    def test_a_missing_type_is_named(self) -> None:
        with pytest.raises(RemoteProtocolError, match="the event: the field 'type' is missing"):
            StreamEvent.from_wire({"data": {}})


class TestValue:
    def test_it_is_written_as_it_was_read(self) -> None:
        assert StreamEvent.from_wire(dict(FULL)).to_wire() == FULL
        assert StreamEvent("start").to_wire() == {"type": "start", "data": {}, "trace_id": "", "timestamp": ""}

    def test_it_says_what_it_is_without_what_this_version_does_not_know(self) -> None:
        event = StreamEvent("start", {"a": 1}, "t", "now", extra={"secret": "hunter2"})
        assert repr(event) == "StreamEvent(type='start', data={'a': 1}, trace_id='t', timestamp='now')"
        assert event == StreamEvent("start", {"a": 1}, "t", "now")

    def test_it_does_not_change(self) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            StreamEvent("start").type = "done"
        with pytest.raises(TypeError):
            StreamEvent("start", {}, "", "", {})

    @pytest.mark.parametrize("extra", [{}, {"seq": 1}], ids=["none", "some"])
    def test_it_pickles_and_copies(self, extra: dict[str, Any]) -> None:
        event = StreamEvent.from_wire(FULL | extra)
        for twin in (pickle.loads(pickle.dumps(event)), copy.copy(event), copy.deepcopy(event)):
            assert twin == event
            assert twin.extra == extra
            assert attrs.asdict(twin) == FULL | {"extra": extra}

    @pytest.mark.parametrize(
        "event", [StreamEvent("start"), StreamEvent.from_wire({"type": "start"})], ids=["made", "read"]
    )
    def test_the_extra_of_an_event_without_any_cannot_be_changed_for_it_is_that_of_others_too(
        self, event: StreamEvent
    ) -> None:
        extra: Any = event.extra
        changes: list[Callable[[], object]] = [
            lambda: extra.__setitem__("a", 1),
            lambda: extra.update(a=1),
            lambda: extra.setdefault("a", 1),
            lambda: extra.__ior__({"a": 1}),
        ]
        for change in changes:
            with pytest.raises(TypeError, match="cannot be changed"):
                change()
        assert extra == {}
        assert extra | {"a": 1} == {"a": 1}


class TestText:
    @pytest.mark.parametrize("kind", ["token", "delta"])
    def test_that_of_a_text_event(self, kind: Any) -> None:
        assert StreamEvent(kind, {"text": "aé😀"}).text == "aé😀"
        assert StreamEvent(kind, {"text": ""}).text == ""

    @pytest.mark.parametrize("kind", ["start", "tool_call", "final", "error", "done", "news"])
    def test_other_types_have_none(self, kind: Any) -> None:
        assert StreamEvent(kind, {"text": "a"}).text == ""

    @pytest.mark.parametrize("data", [{}, {"text": None}, {"text": 1}, {"text": ["a"]}, {"TEXT": "a"}], ids=repr)
    def test_data_without_a_text(self, data: dict[str, Any]) -> None:
        assert StreamEvent("token", data).text == ""

    def test_half_of_a_character_can_be_printed(self) -> None:
        event = StreamEvent("token", {"text": "a\ud83d"})
        assert event.text == "a\ufffd"
        assert event.data["text"] == "a\ud83d"
        assert StreamEvent("token", {"text": "\ud83d\ude00"}).text == "😀"


@fast
class TestFastWay:
    @pytest.mark.parametrize(
        "body",
        [
            FULL,
            {"type": "done"},
            {"type": "start", "data": {"a": [1, 2.5, None, True, "é😀", {}]}},
            {"timestamp": "b", "trace_id": "a", "type": "final"},
            {"type": "delta", "data": {"text": "x" * 1000}},
            {"type": "delta", "data": {"text": "[" * 1000}},
        ],
        ids=["full", "the type alone", "nested", "in another order", "long", "brackets in a string"],
    )
    def test_it_gives_what_from_wire_gives(self, body: dict[str, Any]) -> None:
        event = read_event(json.dumps(body))
        assert type(event) is StreamEvent
        assert event == StreamEvent.from_wire(dict(body))
        assert (event.extra, hash(type(event)), repr(event)) == ({}, hash(StreamEvent), repr(StreamEvent(**body)))
        assert pickle.loads(pickle.dumps(event)) == event

    @pytest.mark.parametrize("kind", ["start", "token", "delta", "tool_call", "final", "error", "done"])
    def test_it_knows_every_type(self, kind: str) -> None:
        event = read_event(json.dumps({"type": kind}))
        assert event is not None
        assert event.type == kind

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"1",
            b"{}",
            b'{"type":"news"}',
            b'{"type":1}',
            b'{"type":null}',
            b'{"type":"done","seq":1}',
            b'{"type":"done","trace_id":null}',
            b'{"type":"done","timestamp":1}',
            b'{"type":"done","data":null}',
            b'{"type":"done","data":[]}',
            b'{"type":"done"',
            b'{"type":"done"} {}',
            b'{"type":"done","data":{"a":"\xff"}}',
        ],
        ids=repr,
    )
    def test_whatever_is_unusual_is_left_to_from_wire(self, payload: bytes) -> None:
        assert read_event(payload) is None

    def test_data_that_is_missing_is_the_events_own(self) -> None:
        for _ in range(2):
            event = read_event(b'{"type":"done"}')
            assert event is not None
            assert (event.data, event.trace_id, event.timestamp) == ({}, "", "")
            event.data["text"] = "a"

    @pytest.mark.parametrize("depth", [125, 126, 127])
    def test_it_goes_as_deep_as_json_may(self, depth: int) -> None:
        """Two of the 128 levels are the event's own."""
        payload = b'{"type":"done","data":{"a":' + b"[" * depth + b"]" * depth + b"}}"
        event = read_event(payload)
        assert (event is None) == (depth > 126) == json.is_deep(payload)


TOKEN = b'{"type":"token","data":{"text":"a","n":[1]}}'
PLAIN = b'{"type":"delta","data":{"text":"a","n":1.5,"b":true,"x":null}}'
DONE = b'{"type":"done"}'


class TestTogether:
    """Payloads that came together give what each gives alone, up to the first that the fast path leaves."""

    @pytest.fixture(params=["as installed", "without msgspec"], autouse=True)
    def _readers(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        if request.param == "without msgspec":
            monkeypatch.setattr(events, "_read_record", None)
            monkeypatch.setattr(events, "_read_text_record", None)

    @pytest.mark.parametrize("refused", [b"", b"{", b"[]", b'{"type":1}', PLAIN + PLAIN, b'{"type":"done","data":[]}'])
    @pytest.mark.parametrize("place", range(4))
    def test_up_to_one_that_is_refused(self, refused: bytes, place: int) -> None:
        payloads = [PLAIN, TOKEN, DONE]
        payloads.insert(place, refused)
        assert read_events(payloads) == [read_event(payload) for payload in payloads[:place]]

    def test_one_that_is_nested_too_deep_among_long_ones(self) -> None:
        long = b'{"type":"token","data":{"text":"' + b"a" * 300 + b'"}}'
        deep = b'{"type":"token","data":{"text":' + b"[" * 127 + b"]" * 127 + b"}}"
        assert len(read_events([long, long, deep, long])) == 2
        assert len(read_events([long, long, long])) == 3

    @pytest.mark.parametrize("other", [DONE, b'{"type":"tool_call","data":{}}', b'{"type":"news"}', b"{"], ids=repr)
    @pytest.mark.parametrize("place", range(3))
    def test_texts_up_to_one_of_another_type(self, other: bytes, place: int) -> None:
        payloads = [PLAIN, PLAIN]
        payloads.insert(place, other)
        assert read_text_events(payloads) == [read_event(PLAIN)] * place

    def test_every_value_but_objects_and_arrays(self) -> None:
        for value in ('"\\u00e9"', '""', "0", "-0.0", "1e308", "9" * 40, "true", "null"):
            payload = b'{"type":"token","data":{"text":"","x":%b}}' % value.encode()
            (event,) = read_text_events([payload])
            assert repr(event) == repr(StreamEvent.from_wire(json.loads(payload)))


class TestStrictPath:
    def test_any_json_object_that_is_an_event(self) -> None:
        assert parse_event(b'{"type":"news","seq":1}', Redactor()).to_wire()["seq"] == 1

    @pytest.mark.parametrize("payload", [b"1", b"[]", b"null", b'"sk-4711"'], ids=repr)
    def test_another_value_is_quoted_without_secrets(self, payload: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_event(payload, Redactor("sk-4711"))
        quoted = payload.decode().replace("sk-4711", "***")
        assert caught.value.message == f"the payload is not a JSON object: {quoted!r}"

    def test_a_wrong_field_is_named_and_the_payload_quoted(self) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_event(b'{"type":1,"x":"sk-4711"}', Redactor("sk-4711"))
        message = """the event: the field 'type' must be a string, not a number: '{"type":1,"x":"***"}'"""
        assert caught.value.message == message

    @pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 200 + b"]" * 200], ids=repr)
    def test_what_is_not_json_is_a_value_error(self, payload: bytes) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            parse_event(payload, Redactor())


class TestWithoutMsgspec:
    """The same function then gives what `from_wire` gives, and leaves to others what is wrong."""

    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "_read_record", None)

    @pytest.mark.parametrize("body", [FULL, {"type": "done"}, {"type": "news", "seq": 1}], ids=["full", "type", "more"])
    def test_an_event(self, body: dict[str, Any]) -> None:
        event = read_event(json.dumps(body))
        assert event == StreamEvent.from_wire(dict(body))
        assert event is not None
        assert event.to_wire() == StreamEvent.from_wire(dict(body)).to_wire()

    @pytest.mark.parametrize("payload", [b"", b"1", b"[]", b"{}", b'{"type":1}', b'{"type":"done"', b"\xff"], ids=repr)
    def test_values_that_are_not_an_event(self, payload: bytes) -> None:
        assert read_event(payload) is None

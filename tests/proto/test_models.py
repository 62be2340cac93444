"""The models: every field missing, null or wrong; what is not named is kept; what is written is read back."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from hestiaos_proto import (
    AgentInfo,
    AgentResult,
    Approval,
    ChatResponse,
    ErrorResponse,
    HealthResponse,
    RemoteProtocolError,
    RunResponse,
    SessionInfo,
    StreamEvent,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._models import Model

FLAT = {
    "cpu_percent": 1.5,
    "memory_percent": 2,
    "active_sessions": 3,
    "requests_total": 4,
    "avg_latency_ms": 5.5,
    "gpu_percent": None,
    "vram_percent": None,
    "vram_used_bytes": 6,
    "vram_total_bytes": 7,
}

# Each model, the wire's JSON for it, and the fields of that which are needed and may not be null.
WIRE: list[tuple[type[Model], dict[str, Any], set[str]]] = [
    (
        RunResponse,
        {"result": "r", "output": "o", "mode": "ALLOW", "budget": 1.0, "trace_id": "t", "latency_ms": 12},
        {"result", "mode", "budget", "trace_id", "latency_ms"},
    ),
    (
        TraceResponse,
        {
            "trace_id": "t",
            "decision": "ALLOW",
            "reason": "r",
            "risk_score": 0.5,
            "policy": "p",
            "violations": [{"rule": "x"}],
            "mode": "m",
            "budget": 1,
            "latency_ms": 2.5,
            "timestamp": "2025-01-01T00:00:00Z",
        },
        {"trace_id", "decision", "violations", "latency_ms"},
    ),
    (
        HealthResponse,
        {"status": "ok", "version": "1", "uptime_seconds": 3, "api_version": "v1"},
        {"status", "version"},
    ),
    (
        ErrorResponse,
        {"error": "Forbidden", "code": "C", "message": "m", "trace_id": "t", "details": {"a": 1}},
        {"error", "code", "message"},
    ),
    (
        ChatResponse,
        {"response": "hi", "session_id": "s", "processing_time": 0.5, "model": "m", "trace_id": "t"},
        {"response", "session_id"},
    ),
    (
        AgentResult,
        {"agent_id": "a", "status": "COMPLETED", "output": "o", "error": None, "trace_id": "t"},
        {"agent_id"},
    ),
    (
        SystemStatus,
        {
            "status": "ok",
            "ollama": True,
            "vllm": False,
            "dsgk": None,
            "storage": True,
            "version": "1",
            "uptime_seconds": 0.5,
        },
        {"status", "version", "uptime_seconds"},
    ),
    (
        AgentInfo,
        {"agent_id": "a", "model": "m", "system": "be kind", "tools": ["x"], "max_tokens": 5, "timeout_ms": 1000},
        {"agent_id"},
    ),
    (
        SessionInfo,
        {"session_id": "s", "last_used": "2026-01-01T00:00:00Z", "message_count": 1, "messages": [{"role": "user"}]},
        {"session_id", "last_used", "message_count"},
    ),
    (
        Approval,
        {
            "approval_id": "a",
            "status": "approved",
            "created": "2026-01-01T00:00:00Z",
            "expires": "2026-01-02T00:00:00Z",
            "trace_id": "t",
            "operation": "run",
            "rule": "r",
            "reason": "why",
            "risk_score": 0.5,
            "input": "rm -rf /",
            "by": "me",
        },
        {"approval_id", "status", "created", "expires"},
    ),
    (SystemMetrics, FLAT, set(list(FLAT)[:5])),
]
MODELS = pytest.mark.parametrize(("model", "wire", "needed"), WIRE, ids=[row[0].__name__ for row in WIRE])
FIELDS = pytest.mark.parametrize(
    ("model", "wire", "name", "needed"),
    [pytest.param(m, w, name, name in needed, id=f"{m.__name__}.{name}") for m, w, needed in WIRE for name in w],
)


@MODELS
def test_what_is_read_is_written_again(model: type[Model], wire: dict[str, Any], needed: set[str]) -> None:
    read = model.from_wire(wire)
    assert read.to_wire() == wire
    assert model.from_wire(read.to_wire()) == read
    assert read.extra == {}


@FIELDS
def test_a_missing_field(model: type[Model], wire: dict[str, Any], name: str, needed: bool) -> None:
    body = {key: value for key, value in wire.items() if key != name}
    if needed:
        with pytest.raises(RemoteProtocolError, match=rf"{model.__name__}: the field '{name}' is missing"):
            model.from_wire(body)
    else:
        assert getattr(model.from_wire(body), name) is None


@FIELDS
def test_a_null_field(model: type[Model], wire: dict[str, Any], name: str, needed: bool) -> None:
    body = wire | {name: None}
    if needed:
        with pytest.raises(RemoteProtocolError, match=rf"the field '{name}' must be .*, not null"):
            model.from_wire(body)
    else:
        assert getattr(model.from_wire(body), name) is None


@FIELDS
def test_a_field_of_the_wrong_type_is_named_and_its_value_not_quoted(
    model: type[Model], wire: dict[str, Any], name: str, needed: bool
) -> None:
    takes_text = isinstance(wire[name], str) or name in ("error", "details")
    for wrong in [4711, True] if takes_text else ["hush-4711", [4711]]:
        if isinstance(wire[name], list) and isinstance(wrong, list):
            continue
        with pytest.raises(RemoteProtocolError, match=rf"the field '{name}' must be .*, not .*") as caught:
            model.from_wire(wire | {name: wrong})
        assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [([], "a list"), ("x", "a string"), (None, "null"), (1, "a number"), (1.5, "a number"), (True, "a boolean")],
    ids=repr,
)
@MODELS
def test_a_body_that_is_not_an_object(model, wire, needed, body: object, message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"{model.__name__} must be an object, not {message}"):
        model.from_wire(body)


@MODELS
def test_true_is_not_a_number(model: type[Model], wire: dict[str, Any], needed: set[str]) -> None:
    for name in [name for name, value in wire.items() if type(value) in (int, float)]:
        with pytest.raises(RemoteProtocolError, match=name):
            model.from_wire(wire | {name: True})


@pytest.mark.parametrize(("model", "wire", "needed"), WIRE[:-1], ids=[row[0].__name__ for row in WIRE[:-1]])
def test_a_field_that_no_model_names_is_kept_in_extra_and_counts_not_for_equality(
    model: type[Model], wire: dict[str, Any], needed: set[str]
) -> None:
    more = model.from_wire(wire | {"new_field": {"a": [1]}})
    assert more.extra == {"new_field": {"a": [1]}}
    assert more == model.from_wire(wire)
    assert more.to_wire() == wire | {"new_field": {"a": [1]}}


def test_reading_leaves_the_body_as_it_is() -> None:
    for model, wire, _ in WIRE:
        body = copy.deepcopy(wire) | {"more": 1}
        model.from_wire(body)
        assert body == wire | {"more": 1}


@MODELS
def test_frozen_and_pickled_and_copied(model: type[Model], wire: dict[str, Any], needed: set[str]) -> None:
    read = model.from_wire(wire | {"new_field": 1})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        read.extra = {}
    for twin in (pickle.loads(pickle.dumps(read)), copy.copy(read), copy.deepcopy(read)):
        assert twin == read
        assert twin.extra == read.extra


@pytest.mark.parametrize(
    ("model", "wire"),
    [
        (ChatResponse, {"result": "r", "session_id": "s"}),
        (ChatResponse, {"response": "r", "session_id": "s"}),
        (AgentResult, {"result": "r", "agent_id": "a"}),
        (AgentResult, {"output": "r", "agent_id": "a"}),
    ],
    ids=["chat, described", "chat, published", "agent, described", "agent, published"],
)
def test_either_spelling_is_read_from_the_wire(model: type[Model], wire: dict[str, Any]) -> None:
    assert model.from_wire(wire).result == "r"


def test_the_other_spelling_is_an_attribute() -> None:
    assert ChatResponse("r", "s").response == "r"
    assert AgentResult("r", "a").output == "r"


def test_of_both_spellings_at_once_the_described_one_is_the_result_and_both_are_written_again() -> None:
    body = {"result": "a", "response": "b", "session_id": "s"}
    both = ChatResponse.from_wire(body)
    assert both.result == "a"
    assert both.extra == {"response": "b"}
    assert both.to_wire() == body | {"trace_id": None, "processing_time": None, "model": None}
    assert ChatResponse.from_wire(both.to_wire()) == both


def test_an_agents_result_may_be_missing() -> None:
    assert AgentResult.from_wire({"agent_id": "a", "status": "RUNNING"}).result is None


@pytest.mark.parametrize("details", [{"a": 1}, [1], "text", None], ids=repr)
def test_an_errors_details_take_every_form(details: object) -> None:
    wire = {"error": "e", "code": "c", "message": "m", "details": details}
    assert ErrorResponse.from_wire(wire).details == details


class TestSystemMetrics:
    @pytest.mark.parametrize("wire", [FLAT, {"metrics": FLAT}], ids=["flat", "nested"])
    def test_both_forms_are_the_same_metrics(self, wire: dict[str, Any]) -> None:
        read = SystemMetrics.from_wire(wire)
        assert read.metrics == FLAT
        assert {name: getattr(read, name) for name in FLAT} == FLAT

    def test_flat_keeps_a_metric_that_the_wire_does_not_name(self) -> None:
        assert SystemMetrics.from_wire(FLAT | {"own": 1}).metrics["own"] == 1

    def test_nested_takes_any_names_and_the_known_are_none_where_not_reported(self) -> None:
        read = SystemMetrics.from_wire({"metrics": {"own": "text"}, "beside": 1})
        assert read.metrics == {"own": "text"}
        assert read.extra == {"beside": 1}
        assert read.cpu_percent is None

    def test_nested_still_checks_what_it_knows(self) -> None:
        with pytest.raises(RemoteProtocolError, match="the field 'cpu_percent' must be a number or null, not a string"):
            SystemMetrics.from_wire({"metrics": {"cpu_percent": "x"}})

    def test_nested_under_metrics_must_be_an_object(self) -> None:
        with pytest.raises(RemoteProtocolError, match=r"SystemMetrics\.metrics must be an object, not a list"):
            SystemMetrics.from_wire({"metrics": []})

    @pytest.mark.parametrize(
        "wire",
        [
            FLAT | {"own": 1},
            {"metrics": FLAT},
            {"metrics": {"own": 1}},
            {"metrics": FLAT, "beside": 1},
            {"metrics": FLAT | {"metrics": 1}},
            {"metrics": FLAT | {"cpu_percent": None}},
        ],
        ids=["flat", "nested", "only own", "beside", "a metric called metrics", "null"],
    )
    def test_what_is_written_is_read_back(self, wire: dict[str, Any]) -> None:
        read = SystemMetrics.from_wire(wire)
        again = SystemMetrics.from_wire(read.to_wire())
        assert (again, again.extra) == (read, read.extra)


class TestStreamEvent:
    def test_read_and_written(self) -> None:
        wire = {"type": "token", "data": {"text": "a"}, "trace_id": "t", "timestamp": "2025", "seq": 1}
        event = StreamEvent.from_wire(dict(wire))
        assert event == StreamEvent("token", {"text": "a"}, "t", "2025")
        assert event.extra == {"seq": 1}
        assert event.to_wire() == wire
        assert StreamEvent.from_wire(event.to_wire()) == event

    def test_data_trace_id_and_timestamp_may_be_missing(self) -> None:
        event = StreamEvent.from_wire({"type": "done"})
        assert (event.data, event.trace_id, event.timestamp) == ({}, "", "")

    def test_missing_data_is_a_new_dict_each_time(self) -> None:
        StreamEvent.from_wire({"type": "done"}).data["x"] = 1
        assert StreamEvent.from_wire({"type": "done"}).data == {}

    def test_trace_id_and_timestamp_may_be_null(self) -> None:
        assert StreamEvent.from_wire({"type": "done", "trace_id": None, "timestamp": None}) == StreamEvent("done")

    @pytest.mark.parametrize(
        ("wire", "message"),
        [
            ({}, "'type' is missing"),
            ({"type": 1}, "'type' must be a string, not a number"),
            ({"type": "token", "data": None}, "'data' must be an object, not null"),
            ({"type": "token", "data": []}, "'data' must be an object, not a list"),
            ({"type": "token", "data": "x"}, "'data' must be an object, not a string"),
            ({"type": "token", "trace_id": 1}, "'trace_id' must be a string or null, not a number"),
            ({"type": "token", "timestamp": 1.5}, "'timestamp' must be a string or null, not a number"),
        ],
        ids=str,
    )
    def test_wrong_fields_are_named(self, wire: dict[str, Any], message: str) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            StreamEvent.from_wire(wire)
        assert message in str(caught.value)

    def test_frozen_and_pickled(self) -> None:
        event = StreamEvent("token", {"text": "a"}, "t", "2025", extra={"seq": 1})
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            event.type = "done"
        twin = pickle.loads(pickle.dumps(event))
        assert (twin, twin.extra) == (event, event.extra)


@pytest.mark.parametrize("model", [row[0] for row in WIRE[:-1]], ids=lambda model: model.__name__)
def test_what_a_server_may_leave_out_is_none_where_a_model_is_built_by_hand(model: type[Model]) -> None:
    fields = [field for field in attrs.fields(model) if field.name != "extra"]
    needed = {field.name: "x" for field in fields if field.default is attrs.NOTHING}
    built = model(**needed)
    assert {field.name for field in fields if getattr(built, field.name) is None} == {f.name for f in fields} - {
        *needed
    }
    assert built.extra == {}


@MODELS
def test_a_repr_has_its_fields_and_nothing_more(model: type[Model], wire: dict[str, Any], needed: set[str]) -> None:
    text = repr(model.from_wire(wire | {"new_field": "hidden"} if model is not SystemMetrics else wire))
    assert text.startswith(f"{model.__name__}(")
    assert "extra" not in text
    assert "hidden" not in text


def test_a_wrong_field_is_called_by_its_kind() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        HealthResponse.from_wire({"status": 4711, "version": "1", "uptime_seconds": 3})
    assert caught.value.message == "HealthResponse: the field 'status' must be a string, not a number"


def test_a_metric_of_the_class_is_what_it_is_and_of_an_instance_its_value() -> None:
    assert SystemMetrics.cpu_percent is vars(SystemMetrics)["cpu_percent"]
    assert SystemMetrics({"cpu_percent": 1}).cpu_percent == 1
    assert SystemMetrics({}).cpu_percent is None


class TestToDict:
    def test_the_names_are_those_of_the_attributes(self) -> None:
        body = {"response": "r", "session_id": "s", "trace_id": None, "more": [1]}
        assert ChatResponse.from_wire(body).to_dict() == {
            "result": "r",
            "session_id": "s",
            "trace_id": None,
            "processing_time": None,
            "model": None,
            "more": [1],
        }
        assert SystemMetrics.from_wire({"metrics": {"own": 1}}).to_dict() == {"metrics": {"own": 1}}

    def test_both_spellings_are_kept(self) -> None:
        model = AgentResult.from_wire({"result": "r", "output": "o", "agent_id": "a"})
        assert model.to_dict()["result"] == "r"
        assert model.to_dict()["output"] == "o"

    def test_it_is_a_dict_of_the_callers_own(self) -> None:
        model = RunResponse("r", "t", None, "ALLOW", 1.0, 2, extra={"more": 1})
        model.to_dict().clear()
        assert model.to_dict() == model.to_wire()
        assert model.extra == {"more": 1}

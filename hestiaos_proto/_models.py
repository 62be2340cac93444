"""The eight response models: frozen, read from the wire and written to it.

A model is defined by its annotations. A field that can be `None` can be null or missing on the wire, any other is
required. `wire` in the metadata is the name on the wire if that differs; both names are read. Fields that a model does
not have are kept in `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, ClassVar, NamedTuple, Self, get_args, get_origin, get_type_hints, overload

import attrs
from attrs import field, frozen

from hestiaos_proto._fields import object_of, wrong_field

__all__ = [
    "AgentResult",
    "ChatResponse",
    "ErrorResponse",
    "HealthResponse",
    "Model",
    "RunResponse",
    "SystemMetrics",
    "SystemStatus",
    "TraceResponse",
]


@frozen
class Model:
    """The base of the response models. `extra` has the fields of the response that the model does not name."""

    extra: Mapping[str, Any] = field(factory=dict, eq=False, repr=False, kw_only=True)

    @classmethod
    def from_wire(cls, body: Any) -> Self:
        """Read a decoded JSON body. Raises `RemoteProtocolError` that names the field which is missing or wrong."""
        rest = dict(object_of(cls.__name__, body))
        values: dict[str, Any] = {}
        for known in _known_fields(cls):
            spelling = known.name if known.name in rest else known.wire
            value = rest.pop(spelling, None)
            if type(value) not in known.types:
                raise wrong_field(cls.__name__, spelling, value, known.types, missing=spelling not in body)
            values[known.name] = value
        return cls(**values, extra=rest)

    def __repr__(self) -> str:
        # Not one of attrs' for each model, which would take a third of the time to define it.
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in attrs.fields(type(self)) if each.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by the names of their attributes, and those of `extra`, for printing, logging or storing.

        It shares its values with the model.
        """
        return dict(self.extra) | {known.name: getattr(self, known.name) for known in _known_fields(type(self))}

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object that `from_wire` reads back to an equal model, in the wire's own spelling.

        A response that was received with both names of a field is written with both.
        """
        body = dict(self.extra)
        for known in _known_fields(type(self)):
            body[known.name if known.wire in self.extra else known.wire] = getattr(self, known.name)
        return body


@frozen(repr=False)
class RunResponse(Model):
    """The result of a run: its text, the decision of governance as `mode` (`"ALLOW"`), and its reasoning `budget`."""

    result: str
    trace_id: str
    output: str | None
    mode: str
    budget: float
    latency_ms: float


@frozen(repr=False)
class TraceResponse(Model):
    """The audit of one execution. `risk_score` is from 0 to 1, `timestamp` is ISO 8601."""

    trace_id: str
    decision: str
    violations: list[dict[str, Any]]
    latency_ms: float
    reason: str | None = None
    risk_score: float | None = None
    policy: str | None = None
    mode: str | None = None
    budget: float | None = None
    timestamp: str | None = None


@frozen(repr=False)
class HealthResponse(Model):
    """The server's health. Without its API key, a server returns `status` and `version` only."""

    status: str
    version: str
    uptime_seconds: float | None = None
    api_version: str | None = None


@frozen(repr=False)
class ErrorResponse(Model):
    """The documented body of an error response."""

    error: str
    code: str
    message: str
    trace_id: str | None = None
    details: dict[str, Any] | list[Any] | str | None = None


@frozen(repr=False)
class ChatResponse(Model):
    """A chat reply; `result` is its text, `processing_time` is in seconds."""

    result: str = field(metadata={"wire": "response"})
    session_id: str
    trace_id: str | None = None
    processing_time: float | None = None
    model: str | None = None

    @property
    def response(self) -> str:
        """The wire's name for `result`."""
        return self.result


@frozen(repr=False)
class AgentResult(Model):
    """The result of an agent; `status` is one of RUNNING, COMPLETED, FAILED, BLOCKED, `error` the reason."""

    result: str | None = field(metadata={"wire": "output"})
    agent_id: str
    trace_id: str | None = None
    status: str | None = None
    error: str | None = None

    @property
    def output(self) -> str | None:
        """The wire's name for `result`."""
        return self.result


@frozen(repr=False)
class SystemStatus(Model):
    """The state of the server and of its parts."""

    status: str
    version: str
    uptime_seconds: float
    ollama: bool | None = None
    vllm: bool | None = None
    dsgk: bool | None = None
    storage: bool | None = None


class _Metric:
    """A metric as an attribute: `None` if the server does not report it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: SystemMetrics, owner: type) -> float | None: ...

    def __get__(self, instance: SystemMetrics | None, owner: type) -> Self | float | None:
        return self if instance is None else instance.metrics.get(self._name)


@frozen(repr=False)
class SystemMetrics(Model):
    """The measurements of the server, by name; those of the wire are attributes too.

    On the wire they are either under `metrics`, with any names, or flat, where the five that every server reports are
    required.
    """

    metrics: Mapping[str, Any]

    cpu_percent: ClassVar[_Metric] = _Metric()
    memory_percent: ClassVar[_Metric] = _Metric()
    active_sessions: ClassVar[_Metric] = _Metric()
    requests_total: ClassVar[_Metric] = _Metric()
    avg_latency_ms: ClassVar[_Metric] = _Metric()
    gpu_percent: ClassVar[_Metric] = _Metric()
    vram_percent: ClassVar[_Metric] = _Metric()
    vram_used_bytes: ClassVar[_Metric] = _Metric()
    vram_total_bytes: ClassVar[_Metric] = _Metric()

    @classmethod
    def from_wire(cls, body: Any) -> Self:
        """Read either form. Raises `RemoteProtocolError` that names the metric which is missing or wrong."""
        rest = dict(object_of(cls.__name__, body))
        nested = "metrics" in rest
        metrics = object_of(f"{cls.__name__}.metrics", rest.pop("metrics")) if nested else rest
        for name in _METRICS:
            needed = not nested and name in _REPORTED_BY_ALL
            types = (float, int) if needed else (float, int, NoneType)
            if type(value := metrics.get(name)) not in types:
                raise wrong_field(cls.__name__, name, value, types, missing=name not in metrics)
        return cls(metrics, extra=rest if nested else {})

    def to_wire(self) -> dict[str, Any]:
        """Return the flat form if that has room for everything, else the nested one."""
        reported = all(type(self.metrics.get(name)) in (float, int) for name in _REPORTED_BY_ALL)
        if reported and not self.extra and "metrics" not in self.metrics:
            return dict(self.metrics)
        return dict(self.extra) | {"metrics": dict(self.metrics)}


_METRICS = tuple(name for name, value in vars(SystemMetrics).items() if isinstance(value, _Metric))
_REPORTED_BY_ALL = _METRICS[:5]


class _KnownField(NamedTuple):
    name: str
    wire: str
    types: tuple[type, ...]


_KNOWN_FIELDS: dict[type[Model], tuple[_KnownField, ...]] = {}


def _known_fields(model: type[Model]) -> tuple[_KnownField, ...]:
    """Return the fields of a model, read from its annotations at the first use."""
    if model not in _KNOWN_FIELDS:
        hints = get_type_hints(model)
        _KNOWN_FIELDS[model] = tuple(
            _KnownField(known.name, known.metadata.get("wire", known.name), _types(hints[known.name]))
            for known in attrs.fields(model)
            if known.name != "extra"
        )
    return _KNOWN_FIELDS[model]


def _types(hint: Any) -> tuple[type, ...]:
    kinds = [get_origin(kind) or kind for kind in (get_args(hint) if NoneType in get_args(hint) else [hint])]
    return (*kinds, int) if float in kinds else tuple(kinds)  # JSON writes 1.0 as 1 too

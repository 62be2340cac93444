"""Generate JSON Schemas (draft 2020-12) of the protocol from the types and tables that implement it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

import attrs

from hestiaos_proto import BodySchema, Model, Param, Route, SystemMetrics

__all__ = ["Schema", "body_schema", "model_schema", "param_schema", "query_schema", "result_schema"]

Schema = dict[str, Any]
Constraints = Mapping[str, Mapping[str, Any]]

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


def body_schema(layout: BodySchema, constraints: Constraints) -> Schema:
    """Generate the schema of a request's body. `constraints` are additional keywords for its arguments."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, inner in layout.items():
        if isinstance(inner, Param):
            properties[name] = param_schema(inner, constraints)
            if "default" not in properties[name]:
                required.append(name)
        elif isinstance(inner, dict):
            nested = body_schema(inner, constraints)
            properties[name] = nested | {"type": ["object", "null"]}
    return _object(properties, required)


def param_schema(param: Param, constraints: Constraints) -> Schema:
    """Generate the schema of one argument."""
    schema: Schema = {"type": _TYPES[param.kind]}
    if param.filled:
        schema["minLength"] = 1
    if param.secret:
        schema["writeOnly"] = True
    if param.accepts(param.default):
        schema["default"] = param.default
        if param.default is None:
            schema["type"] = [schema["type"], "null"]
    return schema | dict(constraints.get(param.name, {}))


def query_schema(param: Param, constraints: Constraints) -> Schema:
    """Generate the schema of an argument in the query, which cannot be null: it is omitted instead."""
    schema = {"type": _TYPES[param.kind]} | dict(constraints.get(param.name, {}))
    return schema if param.default is None else schema | {"default": param.default}


def result_schema(route: Route[Any]) -> Schema:
    """Generate the schema of a successful response's JSON, as a reference if it is a model."""
    if route.listed is not None:
        name, kind = route.listed
        items = _reference(kind) if issubclass(kind, Model) else {"type": "string"}
        return _object({name: {"type": "array", "items": items}}, [name])
    if issubclass(route.result, Model):
        return _reference(route.result)
    if route.result is dict:
        return {"type": "object"}
    written = route.write("")  # shows the shape of the response for a string, or for an ignored result
    return _object({name: {"type": "string"} for name in written}, list(written))


def model_schema(model: type[Model]) -> Schema:
    """Generate the schema of a model in the protocol from its annotations."""
    hints = get_type_hints(model)
    if model is SystemMetrics:  # the platform reports them as a flat object
        names = [name for name, hint in hints.items() if get_origin(hint) is ClassVar]
        return _object({name: {"type": ["number", "null"]} for name in names}, [])
    fields = [each for each in attrs.fields(model) if each.name != "extra"]
    spelled = {each.metadata.get("wire", each.name): hints[each.name] for each in fields}
    properties = {name: type_schema(hint) for name, hint in spelled.items()}
    return _object(properties, [name for name, hint in spelled.items() if NoneType not in get_args(hint)])


def type_schema(hint: Any) -> Schema:
    """Generate the schema of a type."""
    if get_origin(hint) in (Union, UnionType):
        kinds = [type_schema(each) if each is not NoneType else {"type": "null"} for each in get_args(hint)]
        return {"anyOf": kinds}
    origin = get_origin(hint) or hint
    if origin is list and get_args(hint) != (Any,):
        return {"type": "array", "items": type_schema(get_args(hint)[0])}
    return {"type": _TYPES[dict if issubclass(origin, Mapping) else origin]}


def _reference(model: type[Model]) -> Schema:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _object(properties: dict[str, Any], required: list[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return schema | {"required": required} if required else schema

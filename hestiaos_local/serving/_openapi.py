"""Generate the OpenAPI 3.1 document of a served platform from the tables of operations and resources. Pure."""

from __future__ import annotations

from inspect import getdoc
from typing import Any

from hestiaos_local.operations import BODIES, CONSTRAINTS
from hestiaos_local.serving._resources import EVENTS, OPEN_OPERATION, OPEN_RESOURCES, RESOURCES, content
from hestiaos_local.serving._roles import roles_for
from hestiaos_local.serving._schemas import body_schema, model_schema, param_schema, query_schema, result_schema
from hestiaos_proto import ROUTES, ErrorResponse, Model, Route, __version__, operations

__all__ = ["openapi_document"]

_ERROR = content({"$ref": "#/components/schemas/ErrorResponse"})

_KEY = "key"
_ROLES = "An API key. It needs one of the roles listed at the operation; `admin` is allowed every operation."

_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A unique key for each request. A repeat with the same key is not executed again.",
    "schema": {"type": "string"},
}

_LAST_EVENT_ID: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the event after which to resume the stream of a run with this Idempotency-Key.",
    "schema": {"type": "string", "pattern": "^([!-~]{1,200}/(0|[1-9][0-9]{0,17}))?$"},
}


def openapi_document(*, protected: bool) -> dict[str, Any]:
    """Generate the document. `protected` means that a key is required."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES.values():
        described = _operation(route)
        if protected:
            described |= _security(route.operation, is_open=route.operation == OPEN_OPERATION)
        for alias, path in enumerate((route.path, *route.aliases)):
            name = f"{route.operation}_{alias}" if alias else route.operation
            paths.setdefault(path, {})[route.method.lower()] = described | {"operationId": name}
    for path, methods in RESOURCES.items():
        for method, resource in methods.items():
            responses = {"default": _failure("An error.")} | dict(resource["responses"])
            described = {**resource, "responses": responses}
            if protected:
                described |= _security(path, is_open=path in OPEN_RESOURCES)
            paths.setdefault(path, {})[method.lower()] = described
    models: set[type[Model]] = {ErrorResponse}
    for route in ROUTES.values():
        kind = route.result if route.listed is None else route.listed[1]
        if issubclass(kind, Model):
            models.add(kind)
    components: dict[str, Any] = {
        "schemas": {model.__name__: model_schema(model) for model in sorted(models, key=lambda each: each.__name__)}
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "HestiaOS", "version": __version__},
        "paths": paths,
        "components": components,
    }
    if protected:
        components["securitySchemes"] = {_KEY: {"type": "http", "scheme": "bearer", "description": _ROLES}}
    return document


def _security(name: str, *, is_open: bool) -> dict[str, Any]:
    """Return one of which roles a key needs (OpenAPI 3.1, "Security Requirement Object"); `{}` needs no key."""
    return {"security": [{}, {_KEY: []}] if is_open else [{_KEY: [role]} for role in roles_for(name)]}


def _operation(route: Route[Any]) -> dict[str, Any]:
    summary, _, details = (getdoc(getattr(operations, route.operation)) or "").partition("\n\n")
    constraints = CONSTRAINTS.get(route.operation, {})
    described: dict[str, Any] = {"summary": summary, "responses": _responses(route)}
    if details:
        described["description"] = details
    parameters: list[dict[str, Any]] = [
        {"name": param.name, "in": "path", "required": True, "schema": param_schema(param, constraints)}
        for param in route.params
        if f"{{{param.name}}}" in route.path
    ]
    parameters += [
        {"name": param.name, "in": "query", "schema": query_schema(param, constraints)} for param in route.query
    ]
    if not route.idempotent:
        parameters.append(_IDEMPOTENCY_KEY)
    if route.streams:
        parameters.append(_LAST_EVENT_ID)
    if parameters:
        described["parameters"] = parameters
    if route.body is not None:
        schema = {**body_schema(route.body, constraints), **BODIES.get(route.operation, {})}
        described["requestBody"] = {"required": True} | content(schema)
    return described


def _responses(route: Route[Any]) -> dict[str, Any]:
    done = EVENTS if route.streams else content(result_schema(route))
    responses: dict[str, Any] = {"200": {"description": "Done.", **done}}
    if not route.idempotent:
        responses["403"] = _failure("Governance blocks the request.")
        responses["409"] = _failure("The request with this Idempotency-Key is in progress, or its result is not kept.")
    if "{" in route.path:
        responses["404"] = _failure("It does not exist.")
    return responses | {"default": _failure("An error.")}


def _failure(description: str) -> dict[str, Any]:
    return {"description": description} | _ERROR

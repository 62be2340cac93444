"""The paths that a served platform has beside the wire's operations, each with its description (OpenAPI 3.1). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hestiaos_local.openai import CHAT_COMPLETION, CHAT_REQUEST, ERROR, MODEL_LIST

__all__ = [
    "COMPLETIONS",
    "EVENTS",
    "METRICS",
    "MODELS",
    "OPENAPI",
    "OPEN_OPERATION",
    "OPEN_RESOURCES",
    "PAGES",
    "RESOURCES",
    "SERVED",
    "content",
]

COMPLETIONS = "/v1/chat/completions"
MODELS = "/v1/models"
OPENAPI = "/openapi.json"
METRICS = "/metrics"


def content(schema: Mapping[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    """A body of this media type."""
    return {"content": {media_type: {"schema": schema}}}


EVENTS: Mapping[str, Any] = {"content": {"text/event-stream": {}}}
"""An event stream, which OpenAPI 3.1 has no schema for."""

_TEXT = {"type": "string"}
_TRACE_ID = {"X-Hestia-Trace-Id": {"description": "The trace of the answer.", "schema": _TEXT}}
_FAILED = {"description": "An error in the form of OpenAI's API."} | content(ERROR)

RESOURCES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    COMPLETIONS: {
        "POST": {
            "operationId": "chat_completions",
            "summary": "Complete a chat, through governance, for clients of OpenAI's API.",
            "requestBody": {"required": True} | content(CHAT_REQUEST),
            "responses": {
                "200": {
                    "description": "The completion; with `stream`, its chunks as events.",
                    "headers": _TRACE_ID,
                    "content": content(CHAT_COMPLETION)["content"] | EVENTS["content"],
                },
                "403": {"description": "Governance blocks it (`governance_block`)."} | content(ERROR),
                "default": _FAILED,
            },
        }
    },
    MODELS: {
        "GET": {
            "operationId": "models",
            "summary": "The models that a completion may name.",
            "responses": {"200": {"description": "The models."} | content(MODEL_LIST), "default": _FAILED},
        }
    },
    OPENAPI: {
        "GET": {
            "operationId": "openapi",
            "summary": "This document.",
            "responses": {"200": {"description": "An OpenAPI 3.1 document."} | content({"type": "object"})},
        }
    },
    METRICS: {
        "GET": {
            "operationId": "metrics",
            "summary": "What the platform has counted, for Prometheus.",
            "responses": {"200": {"description": "Prometheus' text format."} | content(_TEXT, "text/plain")},
        }
    },
}
"""Their methods, each with its description."""

OPEN_OPERATION = "health"
"""The operation that needs no key."""

PAGES: Mapping[str, tuple[str, str]] = {
    "/": ("dashboard.html", "text/html; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    "/dashboard.svg": ("dashboard.svg", "image/svg+xml"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("dashboard", "dashboard-api", "dashboard-elements", "dashboard-panels", "dashboard-traces")
    },
}
"""The dashboard's paths, each with its file and media type."""

SERVED: Mapping[str, Collection[str]] = {**RESOURCES, **dict.fromkeys(PAGES, ("GET",))}
"""All paths beside the wire's operations, with their methods."""

OPEN_RESOURCES = frozenset({OPENAPI, *PAGES})
"""Those that need no key: they are the same for every server of this version."""

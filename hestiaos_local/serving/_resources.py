"""The paths of a server beyond those of the protocol's operations, with their OpenAPI 3.1 descriptions. Pure."""

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
    """Describe a body of this media type."""
    return {"content": {media_type: {"schema": schema}}}


EVENTS: Mapping[str, Any] = {"content": {"text/event-stream": {}}}
"""The schema of an event stream. OpenAPI 3.1 cannot describe its events."""

_TEXT = {"type": "string"}
_TRACE_ID = {"X-Hestia-Trace-Id": {"description": "The id of the execution's trace.", "schema": _TEXT}}
_FAILED = {"description": "An error in the format of OpenAI's API."} | content(ERROR)

RESOURCES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    COMPLETIONS: {
        "POST": {
            "operationId": "chat_completions",
            "summary": "Complete a chat through governance, for clients of OpenAI's API.",
            "requestBody": {"required": True} | content(CHAT_REQUEST),
            "responses": {
                "200": {
                    "description": "The completion or, with `stream`, its chunks as events.",
                    "headers": _TRACE_ID,
                    "content": content(CHAT_COMPLETION)["content"] | EVENTS["content"],
                },
                "403": {"description": "Governance blocks the request (`governance_block`)."} | content(ERROR),
                "default": _FAILED,
            },
        }
    },
    MODELS: {
        "GET": {
            "operationId": "models",
            "summary": "List the models that a completion may name.",
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
            "summary": "Get the platform's metrics, for Prometheus.",
            "responses": {"200": {"description": "Prometheus' text format."} | content(_TEXT, "text/plain")},
        }
    },
}
"""The methods of each path, with their descriptions."""

OPEN_OPERATION = "health"
"""The operation that does not need a key."""

PAGES: Mapping[str, tuple[str, str]] = {
    "/": ("dashboard.html", "text/html; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    "/dashboard.svg": ("dashboard.svg", "image/svg+xml"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("dashboard", "dashboard-api", "dashboard-elements", "dashboard-panels", "dashboard-traces")
    },
}
"""The dashboard's paths, with their files and media types."""

SERVED: Mapping[str, Collection[str]] = {**RESOURCES, **dict.fromkeys(PAGES, ("GET",))}
"""All paths beyond those of the protocol's operations, with their methods."""

OPEN_RESOURCES = frozenset({OPENAPI, *PAGES})
"""The paths that do not need a key, as they are the same on every server of this version."""

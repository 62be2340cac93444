"""Create requests to a model server (OpenAI's API, "Chat Completions" and "Models")."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from hestiaos_local.execution import Work
from hestiaos_local.openai._upstream_errors import model_protocol_error
from hestiaos_proto import InvalidInput, Redactor, __version__, json

__all__ = ["ModelRequest", "chat_request", "model_names", "models_request"]

_MAX_MODELS = 10_000

_ANOTHER_NAME = "n_predict"
"""The option that llama.cpp's server prefers to `max_tokens` (`oaicompat_chat_params_parse`); below 0 is unlimited."""


@frozen
class ModelRequest:
    """A request. `path` is appended to the model server's URL, which usually ends with `/v1`."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)  # one contains the key
    body: bytes = field(default=b"", repr=False)


def chat_request(work: Work, *, model: str, key: str | None, stream: bool) -> ModelRequest:
    """Request the completion of `work`. `model` is the model's name on the server.

    The attributes of `work` replace fields of the same names in `work.options`. A stream is requested with usage.
    Raises `InvalidInput` if the request cannot be encoded as JSON.
    """
    body: dict[str, Any] = {**work.options, "model": model, "messages": list(work.messages), "stream": stream}
    if work.tools:
        body["tools"] = list(work.tools)
    if work.max_tokens is not None:
        # Newer models of OpenAI accept only the second name, most other servers only the first.
        newer = "max_completion_tokens" in work.options
        body.pop("max_tokens", None)
        lowest = _lowest(work.max_tokens, body.pop(_ANOTHER_NAME, None))
        body["max_completion_tokens" if newer else "max_tokens"] = lowest
    body.pop("stream_options", None)
    if stream:
        body["stream_options"] = {"include_usage": True}
    try:
        encoded = json.dumps(body)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the request cannot be sent to the model server: {error}") from None
    headers = _headers(key, "text/event-stream" if stream else "application/json")
    return ModelRequest("POST", "/chat/completions", headers | {"Content-Type": "application/json"}, encoded)


def _lowest(max_tokens: int, another: Any) -> int:
    return min(max_tokens, another) if type(another) is int and another >= 0 else max_tokens


def models_request(*, key: str | None) -> ModelRequest:
    """Request the list of models. The response also shows whether the server is reachable and accepts the key."""
    return ModelRequest("GET", "/models", _headers(key, "application/json"))


def model_names(body: bytes, *, redactor: Redactor | None = None) -> list[str]:
    """Decode the names in the response to `models_request`. Raises `ServerError` if it is malformed."""
    try:
        value = json.loads(body)
    except ValueError:
        quoted = (redactor or Redactor()).quote(body)
        raise model_protocol_error(f"its list of models is not JSON: {quoted}") from None
    models = value.get("data") if isinstance(value, dict) else None
    if models is None and isinstance(value, dict) and "data" in value:  # Ollama without a model
        models = []
    if not isinstance(models, list):
        raise model_protocol_error("its list of models has no data")
    names = [each.get("id") for each in models[:_MAX_MODELS] if isinstance(each, dict)]
    return [name for name in names if isinstance(name, str) and name]


def _headers(key: str | None, accept: str) -> dict[str, str]:
    """Return the headers. The encoding is `identity`, as the size of decompressed data could not be limited."""
    headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": f"hestiaos/{__version__}"}
    return headers if key is None else headers | {"Authorization": f"Bearer {key}"}

"""Requests to a model server (OpenAI's API, "Chat Completions" and "Models")."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from hestiaos_local.execution import Work
from hestiaos_local.openai._upstream_errors import model_protocol_error
from hestiaos_proto import InvalidInput, Redactor, __version__, json

__all__ = ["ModelRequest", "chat_request", "model_names", "models_request"]

_MAX_MODELS = 10_000

_ANOTHER_NAME = "n_predict"
"""What llama.cpp's server takes before `max_tokens` (`oaicompat_chat_params_parse`); below 0 it sets no limit."""


@frozen
class ModelRequest:
    """A request; `path` goes after the model server's URL, which ends with `/v1` for most."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)  # one is the key
    body: bytes = field(default=b"", repr=False)


def chat_request(work: Work, *, model: str, key: str | None, stream: bool) -> ModelRequest:
    """Ask for the completion of `work` by the model that the server calls `model`.

    The fields that we know take the place of those in `work.options`. A stream is asked to include its usage. Raises
    `InvalidInput` for what JSON cannot say.
    """
    body: dict[str, Any] = {**work.options, "model": model, "messages": list(work.messages), "stream": stream}
    if work.tools:
        body["tools"] = list(work.tools)
    if work.max_tokens is not None:
        # The newer of OpenAI's own models take the second name only, most other servers know the first one only.
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
    """Ask which models the server has; the response also shows whether it is reachable and accepts the key."""
    return ModelRequest("GET", "/models", _headers(key, "application/json"))


def model_names(body: bytes, *, redactor: Redactor | None = None) -> list[str]:
    """The names in the answer to `models_request`. Raises `ServerError` for what is not one."""
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
    """`identity`, since what is unpacked could grow beyond every bound."""
    headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": f"hestiaos/{__version__}"}
    return headers if key is None else headers | {"Authorization": f"Bearer {key}"}

"""OpenAI's chat completions protocol, for clients and servers. Pure: no I/O, no clock, no randomness.

As a client of a model server: `chat_request` and `models_request` create requests, `CompletionResponse` and
`ModelResponse` decode responses. As a server: `parse_chat_completion` decodes requests, `ChunkEncoder` and the
functions `encode_…` create responses, and `CHAT_REQUEST` and the other schemas describe both.
"""

from hestiaos_local.openai._chat_completions import ChatCompletion, parse_chat_completion
from hestiaos_local.openai._completions import MAX_CHUNK_SIZE, CompletionStream, completion_outputs
from hestiaos_local.openai._error_bodies import encode_error
from hestiaos_local.openai._model_responses import CompletionResponse, ModelResponse
from hestiaos_local.openai._requests import ModelRequest, chat_request, model_names, models_request
from hestiaos_local.openai._responses import ChunkEncoder, encode_completion, encode_models
from hestiaos_local.openai._schemas import CHAT_COMPLETION, CHAT_REQUEST, ERROR, MODEL_LIST
from hestiaos_local.openai._upstream_errors import (
    model_fault,
    model_protocol_error,
    model_stream_cut,
    model_timed_out,
    model_unreachable,
    upstream_error,
)

__all__ = [
    "CHAT_COMPLETION",
    "CHAT_REQUEST",
    "ERROR",
    "MAX_CHUNK_SIZE",
    "MODEL_LIST",
    "ChatCompletion",
    "ChunkEncoder",
    "CompletionResponse",
    "CompletionStream",
    "ModelRequest",
    "ModelResponse",
    "chat_request",
    "completion_outputs",
    "encode_completion",
    "encode_error",
    "encode_models",
    "model_fault",
    "model_names",
    "model_protocol_error",
    "model_stream_cut",
    "model_timed_out",
    "model_unreachable",
    "models_request",
    "parse_chat_completion",
    "upstream_error",
]


def __dir__() -> list[str]:
    return sorted(__all__)

"""The options of a single call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from hestiaos_proto._config import Config, check_idempotency_key
from hestiaos_proto._hooks import Hooks

__all__ = ["CallOptions", "StreamOptions", "config_of_call"]


class StreamOptions(TypedDict, total=False):
    """The options of `run_stream` and `chat.stream`, for that call.

    An option that is not given, or `None`, is the client's.

    `deadline` bounds the whole call with its repeats, in seconds. It is repeated at most `retries` times. `headers` are
    added to the client's, and replace those of the same name. `idempotency_key` is sent instead of a random one.
    `hooks` are called after the client's. A wrong option raises `ValueError` or `TypeError` before anything is sent.
    """

    retries: int | None
    deadline: float | None
    headers: Mapping[str, str] | None
    idempotency_key: str | None
    hooks: Hooks | None


class CallOptions(StreamOptions, total=False):
    """The options of all other methods: also `timeout`, which bounds each connect, read and write, in seconds."""

    timeout: float | None


def config_of_call(operation: str, config: Config, options: CallOptions) -> Config:
    """The configuration of a call with these `options`. Raises `ValueError` or `TypeError` if they are wrong."""
    if unknown := options.keys() - CallOptions.__optional_keys__:
        raise TypeError(f"{operation}() got an unexpected keyword argument {min(unknown)!r}")
    key = options.get("idempotency_key")
    if key is not None:
        check_idempotency_key(key)
    return config.for_call(
        timeout=options.get("timeout"),
        retries=options.get("retries"),
        deadline=options.get("deadline"),
        headers=options.get("headers"),
    )

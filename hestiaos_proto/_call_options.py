"""What a method takes for one call alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from hestiaos_proto._config import Config, check_idempotency_key
from hestiaos_proto._hooks import Hooks

__all__ = ["CallOptions", "StreamOptions", "config_of_call"]


class StreamOptions(TypedDict, total=False):
    """What `run_stream` takes by keyword, for that call alone; what is not given, or `None`, is the client's.

    `deadline` bounds the whole call with its repeats, in seconds; `retries` is the most repeats. `headers` are added to
    the client's, and replace those of the same name. `idempotency_key` is sent instead of one of the client's making.
    `hooks` are called after the client's. What is wrong raises `ValueError` or `TypeError` before anything is sent.
    """

    retries: int | None
    deadline: float | None
    headers: Mapping[str, str] | None
    idempotency_key: str | None
    hooks: Hooks | None


class CallOptions(StreamOptions, total=False):
    """What every other method takes: `timeout` too, which bounds each connect, read and write, in seconds."""

    timeout: float | None


def config_of_call(operation: str, config: Config, options: CallOptions) -> Config:
    """A client's `config` as a call's `options` change it. Raises `ValueError` or `TypeError` where they are wrong."""
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

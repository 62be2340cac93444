"""The options of a single call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

from hestiaos_proto._arguments import check_bool
from hestiaos_proto._config import Config, check_idempotency_key
from hestiaos_proto._hooks import Hooks

__all__ = ["CallOptions", "StreamOptions", "config_of_call", "is_resumable"]


class _Options(TypedDict, total=False):
    retries: int | None
    deadline: float | None
    headers: Mapping[str, str] | None
    idempotency_key: str | None
    hooks: Hooks | None


class StreamOptions(_Options, total=False):
    """The options of `run_stream` and `chat.stream`, for that call.

    An option that is not given, or `None`, is the client's.

    `deadline` bounds the whole call with its repeats, in seconds. It is repeated at most `retries` times. `headers` are
    added to the client's, and replace those of the same name. `idempotency_key` is sent instead of a random one.
    `hooks` are called after the client's. `resume=True` resumes a stream if the connection is lost: see
    `run_stream`. A wrong option raises `ValueError` or `TypeError` before anything is sent.
    """

    resume: bool | None


class CallOptions(_Options, total=False):
    """The options of all other methods: those of a stream without `resume`, and `timeout`.

    `timeout` bounds each connect, read and write, in seconds.
    """

    timeout: float | None


def config_of_call(
    operation: str, config: Config, options: CallOptions | StreamOptions, *, streams: bool = False
) -> Config:
    """Return the configuration of a call with these `options`. Raises `ValueError` or `TypeError` if they are wrong."""
    known = CallOptions.__optional_keys__ | (StreamOptions.__optional_keys__ if streams else frozenset())
    if unknown := options.keys() - known:
        raise TypeError(f"{operation}() got an unexpected keyword argument {min(unknown)!r}")
    key = options.get("idempotency_key")
    if key is not None:
        check_idempotency_key(key)
    return config.for_call(
        timeout=cast("CallOptions", options).get("timeout"),
        retries=options.get("retries"),
        deadline=options.get("deadline"),
        headers=options.get("headers"),
    )


def is_resumable(options: CallOptions | StreamOptions) -> bool:
    """Return whether a stream with these options is resumed. Raises `TypeError` if `resume` is not a bool."""
    resume = cast("StreamOptions", options).get("resume")
    if resume is None:
        return False
    check_bool("resume", resume)
    return resume

"""Which failures of a request are followed by a repeat, and after which wait."""

from __future__ import annotations

from hestiaos_proto._errors import HestiaError, StatusError, StreamInterrupted, TransportError
from hestiaos_proto._runtime import RandomSource

__all__ = ["pause_before_repeat"]

_FIRST_BACKOFF = 0.5  # seconds, doubled at each further repeat
_LONGEST_BACKOFF = 8.0
_LONGEST_RETRY_AFTER = 60.0
_REPEATED = frozenset({429, 502, 503, 504})
_NOT_BEGUN = frozenset({429, 503})  # by these a server says that it has not begun
_IN_PROGRESS = 409  # with a Retry-After (draft-ietf-httpapi-idempotency-key-header-07, section 2.6)


def pause_before_repeat(
    error: HestiaError, *, safe: bool, keyed: bool, repeats: int, random: RandomSource
) -> float | None:
    """Return the seconds until a request that failed with `error` is repeated, or `None` if it is not.

    `safe` says that a repeat does no more than the first request did, `keyed` that the server recognizes a repeat by
    its `Idempotency-Key`; `repeats` counts those before.
    """
    if isinstance(error, TransportError):
        repeat = safe or not error.request_sent
    elif isinstance(error, StatusError):
        repeat = error.status_code in (_REPEATED if safe else _NOT_BEGUN)
        if error.status_code == _IN_PROGRESS and keyed:  # the first request with this key is in progress
            repeat = error.retry_after is not None
        if repeat and error.retry_after is not None:
            return error.retry_after if error.retry_after <= _LONGEST_RETRY_AFTER else None
    else:
        repeat = safe and isinstance(error, StreamInterrupted)
    # Full jitter: clients that failed together do not come back together.
    longest = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(repeats, 10))
    return random.random() * longest if repeat else None

"""Decide by the recorded counters whether a policy's limits would have admitted a call. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hestiaos_local.governance._policy import Policy
from hestiaos_local.governance._rules import Verdict

__all__ = ["refusing_limit"]


def refusing_limit(policy: Policy, verdict: Verdict, admission: Mapping[str, Any]) -> str | None:
    """Return the name of the first limit (or rule with a bucket) that would have been exceeded, or None.

    `admission` is the trace's record of the counters. A limit without a recorded counter, such as a new one or one with
    another window, is skipped, as its use is unknown.
    """
    let_in = "refused_by" not in admission
    tokens = admission.get("reserved_tokens", 0)
    counters = {(use["limit"], use["per"], use["window"]): use for use in admission.get("limits", ())}
    caps: list[tuple[tuple[str, str, float], int | None, int | None]] = [
        ((limit.name, limit.per, limit.window), limit.requests, limit.tokens) for limit in policy.limits
    ]
    if verdict.bucket is not None:
        caps.append(((verdict.rule or "", "rule", verdict.bucket.per), verdict.bucket.requests, None))
    for counter, max_requests, max_tokens in caps:
        if (use := counters.get(counter)) is not None:
            requests = use["requests"] + (0 if let_in else 1)
            used = use["tokens"] + (0 if let_in else tokens)
            if _over(requests, max_requests) or _over(used, max_tokens):
                return counter[0]
    return None


def _over(used: int, limit: int | None) -> bool:
    return limit is not None and used > limit

"""The operations on the decision log (export pages, verify), and on limits and their use."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from hestiaos_local.governance import CounterUse, Head, Limit, Policy
from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_local.storage import Storage, export_log, verify_log
from hestiaos_proto import json

__all__ = ["audit_operations"]

_PAGE_SIZE = 4 * 1024 * 1024  # bytes of JSON; a page ends with the record that reaches it


def audit_operations(storage: Storage, policy: Callable[[], Policy], clock: Callable[[], float]) -> Answers:
    """Return the operations on the decision log and the counters of a storage."""

    def export_audit(arguments: Arguments, key: str | None) -> dict[str, Any]:
        records: list[Any] = []
        size = 0
        for line in islice(export_log(storage, after=arguments["after"]), arguments["limit"]):
            records.append(json.loads(line))
            if (size := size + len(line)) > _PAGE_SIZE:
                break
        whole = len(records) < arguments["limit"] and size <= _PAGE_SIZE
        return {"records": records, "next": None if whole else records[-1]["number"]}

    def verify_audit(arguments: Arguments, key: str | None) -> dict[str, Any]:
        report = verify_log(storage, known=_heads(arguments["known"]))
        return {
            "intact": report.ok,
            "records": report.count,
            "first": report.first,
            "anchor": ",".join(map(str, report.anchors)),
            "head": ",".join(map(str, report.heads)),
            "faults": [{"number": fault.number, "what": fault.what} for fault in report.faults],
            "more_faults": report.more_faults,
        }

    def get_limits(arguments: Arguments, key: str | None) -> dict[str, Any]:
        limits = policy().limits
        uses = storage.usage(limits, now=clock())
        return {"limits": [_limit(limit, [use for use in uses if use.limit == limit.name]) for limit in limits]}

    return {"export_audit": export_audit, "verify_audit": verify_audit, "get_limits": get_limits}


def _heads(text: str | None) -> list[Head]:
    """Parse the heads of an earlier verification, one for each chain of the log."""
    heads = (head.partition(":") for head in (text or "").split(",") if head)
    return [Head(int(number), bytes.fromhex(digest)) for number, _, digest in heads]


def _limit(limit: Limit, uses: list[CounterUse]) -> dict[str, Any]:
    return {
        "name": limit.name,
        "per": limit.per,
        "window": limit.window,
        "requests": limit.requests,
        "tokens": limit.tokens,
        "used": [{"subject": use.subject, "requests": use.requests, "tokens": use.tokens} for use in uses],
    }

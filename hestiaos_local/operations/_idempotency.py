"""Idempotency: a repeated request with the same Idempotency-Key gets the first result, and is not executed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from hestiaos_local._logging import logger
from hestiaos_local.decisions import is_observed, note
from hestiaos_local.flow import Call, Cancelled, Flow, call_surely
from hestiaos_local.operations._event_logs import forgotten
from hestiaos_local.operations._streams import RunEvents
from hestiaos_local.storage import Claimed, Conflict, Finished, InProgress, Storage
from hestiaos_proto import AgentResult, GovernanceBlock, InvalidInput, Model, ServerRequest, StatusError, json

__all__ = ["check_text", "fingerprint", "idempotent", "note_first", "recall"]

_MOMENT = 10.0  # seconds; the lease of a claim that is released at once

M = TypeVar("M", bound=Model)


def fingerprint(operation: str, arguments: Mapping[str, Any], key: str | None = None) -> str:
    """Return the fingerprint of a request: a hash that does not depend on the order of keys in JSON objects.

    It includes `key`, the name of the caller's API key, so that no caller gets the result of another.

    Raises `ValueError` for an argument that UTF-8 cannot encode, since JSON can contain an escaped lone surrogate.
    """
    asker = [] if key is None else [key]
    return sha256(json.dumps([operation, dict(arguments), *asker], sort_keys=True)).hexdigest()


def check_text(call: ServerRequest, key: str | None = None) -> str:
    """Return the fingerprint of a request. Raises `InvalidInput` if it contains a lone surrogate."""
    try:
        return fingerprint(call.operation, call.arguments, key)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def idempotent(
    storage: Storage,
    key: str,
    fingerprint: str,
    model: type[M],
    flow: Flow[M | GovernanceBlock],
    clock: Callable[[], float],
    lease: float,
    kept: Callable[[M], M | None],
    events: RunEvents | None = None,
) -> Flow[M | GovernanceBlock]:
    """Execute `flow` for the first request with this key, and return the stored result for each repeat.

    The result is stored as reduced by `kept`. If `kept` returns None, a repeat raises a `StatusError` (409,
    `RESULT_NOT_KEPT`). The `events` of a stream are stored with its result, and restored for a repeat.

    No transaction is open while the flow is executed. If it raises or is cancelled, the key is released; if its process
    crashes, the key is released after `lease` seconds, which must exceed the timeout. A repeat is executed if the first
    execution outlives its lease, as an uninterruptible function may, or if it was blocked until it is approved.

    Raises `InvalidInput` if the key was used with another request, and a `StatusError` (409) with a `retry_after` while
    the first request is in progress.
    """
    claim = yield Call(lambda: storage.claim(key, fingerprint, now=clock(), lease=lease))
    if not isinstance(claim, Claimed):
        return (yield from _first_result(storage, claim, model, events))
    try:
        result = yield from flow
    except (Exception, Cancelled):  # not GeneratorExit: a flow that is garbage-collected cannot store anything
        yield from _logging_failure(lambda: storage.abandon(key, claim.token), key, lease)
        raise
    if _waits_for_approval(result):
        yield from _logging_failure(lambda: storage.abandon(key, claim.token), key, lease)
    else:
        yield from _logging_failure(
            lambda: storage.finish(key, claim.token, _to_json(result, kept, events)), key, lease
        )
    return result


def recall(
    storage: Storage, key: str, fingerprint: str, model: type[M], clock: Callable[[], float], events: RunEvents
) -> Flow[M | GovernanceBlock]:
    """Return the stored result of the first request with this key, and restore its `events`. Execute nothing.

    Raises like `idempotent`, and the `StatusError` (409) of `forgotten` if there is no result.
    """
    claim = yield Call(lambda: storage.claim(key, fingerprint, now=clock(), lease=_MOMENT))
    if isinstance(claim, Claimed):
        yield from _logging_failure(lambda: storage.abandon(key, claim.token), key, _MOMENT)
        raise forgotten()
    return (yield from _first_result(storage, claim, model, events))


def note_first(storage: Storage, trace_id: str | None) -> Flow[None]:
    """Report the execution that an earlier request began, and whose result this one gets, to the log of requests."""
    if not is_observed():
        return
    note(trace_id=trace_id, repeated=True)
    trace = None if trace_id is None else (yield Call(lambda: storage.trace(trace_id)))
    if trace is not None:
        note(decision=trace.decision, outcome=None if trace.outcome is None else trace.outcome.status)


def _first_result(
    storage: Storage, claim: Finished | Conflict | InProgress, model: type[M], events: RunEvents | None
) -> Flow[M | GovernanceBlock]:
    if isinstance(claim, Conflict):
        raise InvalidInput("this Idempotency-Key was used with another request: use a new key for a new request")
    if isinstance(claim, InProgress):
        raise StatusError(
            "the request with this Idempotency-Key is in progress: repeat it later for its result",
            status_code=409,
            code="IN_PROGRESS",
            retry_after=claim.retry_after,
        )
    stored = claim.result
    trace_id = stored.get("blocked") or stored.get("executed") or stored.get("result", {}).get("trace_id")
    yield from note_first(storage, trace_id)
    if events is not None:
        events.restore(stored.get("events"))
    return _from_json(model, stored)


def _waits_for_approval(result: Model | GovernanceBlock) -> bool:
    if isinstance(result, GovernanceBlock):
        return isinstance(result.details, dict) and "approval" in result.details
    return isinstance(result, AgentResult) and "approval" in result.extra


def _logging_failure(store: Callable[[], object], key: str, lease: float) -> Flow[None]:
    """Store the outcome of a claim, or log why that failed. The claim then ends with its lease."""
    try:
        yield from call_surely(store)
    except Exception as error:  # such as a platform that was closed meanwhile
        logger().error("a repeat of the Idempotency-Key %r gets no result for up to %g s: %s", key, lease, error)


def _to_json(result: M | GovernanceBlock, kept: Callable[[M], M | None], events: RunEvents | None) -> Any:
    if isinstance(result, GovernanceBlock):
        return {"blocked": result.trace_id, "details": result.details}
    as_kept = kept(result)
    if as_kept is None:
        return {"executed": getattr(result, "trace_id", None)}
    stored: dict[str, Any] = {"result": as_kept.to_wire()}
    if events is not None and as_kept == result:  # otherwise the events contain texts that must not be stored
        stored["events"] = events.to_store()
    return stored


def _from_json(model: type[M], stored: Any) -> M | GovernanceBlock:
    if "blocked" in stored:
        return GovernanceBlock(stored["blocked"], details=stored.get("details"))
    if "executed" in stored:
        raise StatusError(
            "the request with this Idempotency-Key was executed, but this platform does not store the texts of results",
            stored["executed"],
            status_code=409,
            code="RESULT_NOT_KEPT",
        )
    return model.from_wire(stored["result"])

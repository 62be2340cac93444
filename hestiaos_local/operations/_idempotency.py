"""A repeated request with the same Idempotency-Key gets the first result, and nothing is executed twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from hestiaos_local._logging import logger
from hestiaos_local.flow import Call, Cancelled, Flow, call_surely
from hestiaos_local.operations._event_logs import forgotten
from hestiaos_local.operations._streams import RunEvents
from hestiaos_local.storage import Claimed, Conflict, Finished, InProgress, Storage
from hestiaos_proto import AgentResult, GovernanceBlock, InvalidInput, Model, ServerRequest, StatusError, json

__all__ = ["check_text", "fingerprint", "idempotent", "recall"]

_MOMENT = 10.0  # seconds that a claim is held which is given back at once

M = TypeVar("M", bound=Model)


def fingerprint(operation: str, arguments: Mapping[str, Any], key: str | None = None) -> str:
    """The fingerprint of a request: a hash that does not depend on the order of members.

    `key` is the name of the caller's API key: the Idempotency-Key of one caller never gives its result to another.

    Raises `ValueError` for what JSON and UTF-8 cannot represent: JSON can escape a lone surrogate.
    """
    asker = [] if key is None else [key]
    return sha256(json.dumps([operation, dict(arguments), *asker], sort_keys=True)).hexdigest()


def check_text(call: ServerRequest, key: str | None = None) -> str:
    """The fingerprint of a request by this API key. Raises `InvalidInput` where it has none.

    JSON can escape a lone surrogate.
    """
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
    """What `flow` comes to at the first request with this key; it is stored as `kept` makes it, and given to each that
    repeats it. Where `kept` makes nothing of it, a repeat raises a `StatusError` (409, `RESULT_NOT_KEPT`).

    No transaction is open while it works. Where it raises or is cancelled, the key is free again; where its process
    crashes, after `lease` seconds, which are more than its timeout. Where it cannot be interrupted and works on after
    its lease, as a user's function may, a repeat is executed. So is one of a call that was blocked until somebody
    approves it.

    The `events` of a stream are stored with its result, and restored for a repeat.

    Raises `InvalidInput` where the key comes with another request, and a `StatusError` (409) that says when to try
    again while the first is under way.
    """
    claim = yield Call(lambda: storage.claim(key, fingerprint, now=clock(), lease=lease))
    if not isinstance(claim, Claimed):
        return _first_result(claim, model, events)
    try:
        result = yield from flow
    except (Exception, Cancelled):  # a flow that is collected with its event loop closed cannot store anything
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
    """The result of the first request with this key, whose `events` are restored. Nothing is executed.

    Raises as `idempotent`, and the `StatusError` (409) of `forgotten` where there is no result.
    """
    claim = yield Call(lambda: storage.claim(key, fingerprint, now=clock(), lease=_MOMENT))
    if isinstance(claim, Claimed):
        yield from _logging_failure(lambda: storage.abandon(key, claim.token), key, _MOMENT)
        raise forgotten()
    return _first_result(claim, model, events)


def _first_result(
    claim: Finished | Conflict | InProgress, model: type[M], events: RunEvents | None
) -> M | GovernanceBlock:
    if isinstance(claim, Conflict):
        raise InvalidInput("this Idempotency-Key came with another request before: use a new key for a new request")
    if isinstance(claim, InProgress):
        raise StatusError(
            "the request with this Idempotency-Key is under way: repeat it later for its result",
            status_code=409,
            code="IN_PROGRESS",
            retry_after=claim.retry_after,
        )
    if events is not None:
        events.restore(claim.result.get("events"))
    return _from_json(model, claim.result)


def _waits_for_approval(result: Model | GovernanceBlock) -> bool:
    if isinstance(result, GovernanceBlock):
        return isinstance(result.details, dict) and "approval" in result.details
    return isinstance(result, AgentResult) and "approval" in result.extra


def _logging_failure(store: Callable[[], object], key: str, lease: float) -> Flow[None]:
    """Have the outcome of a claim stored. If that fails, the claim ends with its lease, and no result is lost."""
    try:
        yield from call_surely(store)
    except Exception as error:  # a platform that was closed meanwhile, among others
        logger().error("a repeat of the Idempotency-Key %r gets no result for up to %g s: %s", key, lease, error)


def _to_json(result: M | GovernanceBlock, kept: Callable[[M], M | None], events: RunEvents | None) -> Any:
    if isinstance(result, GovernanceBlock):
        return {"blocked": result.trace_id, "details": result.details}
    as_kept = kept(result)
    if as_kept is None:
        return {"executed": getattr(result, "trace_id", None)}
    stored: dict[str, Any] = {"result": as_kept.to_wire()}
    if events is not None and as_kept == result:  # else its events hold what may not be kept
        stored["events"] = events.to_store()
    return stored


def _from_json(model: type[M], stored: Any) -> M | GovernanceBlock:
    if "blocked" in stored:
        return GovernanceBlock(stored["blocked"], details=stored.get("details"))
    if "executed" in stored:
        raise StatusError(
            "the request with this Idempotency-Key was executed, and no texts of results are kept here",
            stored["executed"],
            status_code=409,
            code="RESULT_NOT_KEPT",
        )
    return model.from_wire(stored["result"])

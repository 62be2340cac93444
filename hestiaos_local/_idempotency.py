"""A request that comes again with its Idempotency-Key gets the first result, and nothing is executed twice."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

from hestiaos_local._store import Store
from hestiaos_proto import GovernanceBlock, InvalidInput, Model

__all__ = ["once"]

M = TypeVar("M", bound=Model)


def once(
    store: Store, key: str, request: bytes, model: type[M], work: Callable[[], M | GovernanceBlock]
) -> M | GovernanceBlock:
    """What `work` gives at the first request with this key; it is stored, and given to each that repeats the request.

    Raises `InvalidInput` where the key comes with another request.
    """
    fingerprint = sha256(request).hexdigest()
    with store.transaction():
        kept = store.result(key)
        if kept is None:
            result = work()
            store.keep_result(key, fingerprint, _to_json(result))
            return result
    if kept[0] != fingerprint:
        raise InvalidInput("this Idempotency-Key came with another request before: use a new key for a new request")
    return _from_json(model, kept[1])


def _to_json(result: Model | GovernanceBlock) -> Any:
    if isinstance(result, GovernanceBlock):
        return {"blocked": result.trace_id, "details": result.details}
    return {"result": result.to_wire()}


def _from_json(model: type[M], stored: Any) -> M | GovernanceBlock:
    if "blocked" in stored:
        return GovernanceBlock(stored["blocked"], details=stored.get("details"))
    return model.from_wire(stored["result"])

"""Approvals: somebody lets a call pass, once, that a rule blocks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from hestiaos_proto import json

__all__ = ["call_hash"]


def call_hash(operation: str, arguments: Mapping[str, Any], policy: str) -> str:
    """What tells a call from any other, in hexadecimal: the operation, its arguments, and the policy's hash.

    The order of keys does not matter. Raises `ValueError` for what JSON cannot say.
    """
    return sha256(json.dumps([operation, dict(arguments), policy], sort_keys=True)).hexdigest()

"""Approvals, with which a call that a rule blocks is allowed once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from hestiaos_proto import json

__all__ = ["call_hash"]


def call_hash(operation: str, arguments: Mapping[str, Any], policy: str, rules: Sequence[str]) -> str:
    """Return the hexadecimal hash that identifies a call for its approval.

    It covers the operation, its arguments, the policy's hash, and the rules that block it. The order of keys in the
    arguments does not matter. Raises `ValueError` if the arguments cannot be encoded as JSON.
    """
    return sha256(json.dumps([operation, dict(arguments), policy, list(rules)], sort_keys=True)).hexdigest()

"""Approvals: somebody lets a call pass, once, that a rule blocks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from hestiaos_proto import json

__all__ = ["call_hash"]


def call_hash(operation: str, arguments: Mapping[str, Any], policy: str, rules: Sequence[str]) -> str:
    """What tells a call from any other, in hexadecimal: the operation, its arguments, the policy's hash, and the rules
    that it has to pass.

    The order of keys does not matter. Raises `ValueError` for what JSON cannot say.
    """
    return sha256(json.dumps([operation, dict(arguments), policy, list(rules)], sort_keys=True)).hexdigest()

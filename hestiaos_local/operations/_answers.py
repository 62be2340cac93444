"""The type of a group of operations: for each, a function of its arguments and the caller's key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hestiaos_proto import Result

__all__ = ["Answers", "Arguments"]

Arguments = Mapping[str, Any]

Answers = Mapping[str, Callable[[Arguments, str | None], Result]]
"""The operations of a group, each with what answers it: its arguments, and the name of the API key that asks.

That may raise a `StatusError`.
"""

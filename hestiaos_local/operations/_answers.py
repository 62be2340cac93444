"""The type of a group of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hestiaos_proto import Result

__all__ = ["Answers", "Arguments"]

Arguments = Mapping[str, Any]

Answers = Mapping[str, Callable[[Arguments, str | None], Result]]
"""The operations of a group by name, each a function of its arguments and the name of the caller's API key.

A function may raise a `StatusError`.
"""

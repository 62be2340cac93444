"""What a group of operations is: for each, a function of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hestiaos_proto import Result

__all__ = ["Answers", "Arguments"]

Arguments = Mapping[str, Any]

Answers = Mapping[str, Callable[[Arguments], Result]]
"""The operations of a group, each with what answers it. That may raise a `StatusError`."""

"""Checks of the arguments that a caller gives. A message names the argument and a wrong type, never the value."""

from __future__ import annotations

__all__ = ["FOREVER", "check_bool", "check_whole", "seconds", "type_name"]

FOREVER = 10**9
"""What a duration must be below, in seconds: 31 years, so that no clock or socket overflows."""


def type_name(value: object) -> str:
    """Return the type of `value` as a message names it."""
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def seconds(name: str, value: float | None) -> float | None:
    """Return `value`, a duration in seconds or `None`. Raises `TypeError` or `ValueError` that names the argument."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {type_name(value)}")
    if not 0 < value < FOREVER:
        raise ValueError(f"{name} must be a number of seconds greater than 0 and below 10**9")
    return value


def check_whole(name: str, value: int) -> None:
    """Raise `TypeError` for what is not a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {type_name(value)}")


def check_bool(name: str, value: bool) -> None:
    """Raise `TypeError` for what is neither `True` nor `False`."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {type_name(value)}")

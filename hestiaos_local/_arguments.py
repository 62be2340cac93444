"""Check the arguments of a platform when it is made: a wrong one would only fail each call, as an internal error."""

from __future__ import annotations

from typing import get_args

from hestiaos_local.decisions import Keep
from hestiaos_local.governance import Policy

__all__ = ["check_executor", "check_keep", "check_policy", "check_store"]


def check_policy(policy: object) -> None:
    """Raise `TypeError` for anything but a `Policy`, such as the path of one."""
    if not isinstance(policy, Policy):
        raise TypeError(f"policy must be a Policy, such as Policy.load(path), not {type(policy).__name__}")


def check_store(store: object) -> None:
    """Raise `TypeError` for anything but a `Storage`, such as the path of one."""
    if not hasattr(store, "kind"):
        raise TypeError(f"store must be a Storage, such as Store(path), not {type(store).__name__}")


def check_executor(executor: object) -> None:
    """Raise `TypeError` for anything but an `Executor`, such as a function."""
    if not hasattr(executor, "execute_sync"):
        kind = type(executor).__name__
        raise TypeError(f"executor must be an Executor, such as function_executor(function), not {kind}")


def check_keep(keep: object) -> None:
    """Raise `ValueError` for an unknown value, with which texts would be kept that must not be."""
    if keep not in get_args(Keep):
        raise ValueError(f"keep must be {' or '.join(map(repr, get_args(Keep)))}, not {keep!r}")

"""What the platform carries out of a policy. A policy that asks for more is refused: nothing of it is passed over."""

from __future__ import annotations

from collections.abc import Iterator

from hestiaos_local.governance import Policy, PolicyError, Rule

__all__ = ["check_enforced"]


def check_enforced(policy: Policy) -> None:
    """Raise `PolicyError` with a line for each part of `policy` that the platform does not carry out yet."""
    mistakes = [f"the rule {rule.name!r}: {part}" for rule in policy.rules for part in _parts(rule)]
    if mistakes:
        raise PolicyError(mistakes)


def _parts(rule: Rule) -> Iterator[str]:
    if rule.approval:
        yield "the platform does not take approvals yet"

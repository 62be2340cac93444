"""Policies in files, which are read here: no server is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hestiaos_cli._failures import Failure

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings
    from hestiaos_local import Policy

__all__ = ["policy_path", "read_policy"]


def policy_path(settings: Settings, given: Path | None) -> Path:
    """The file that was given, else the one that the configuration names. Raises `Failure` where neither is there."""
    from hestiaos_cli._local_platform import config_path, read_config

    if given is not None:
        return given
    if (named := read_config(settings).get("policy")) is None:
        raise Failure(f"name a file: {config_path(settings)} has no policy", code="USAGE", status=2)
    return named


def read_policy(path: Path) -> tuple[Policy | None, dict[str, Any]]:
    """The policy of a file, `None` for one with mistakes, and what there is to say of it.

    Its `mistakes` and its `failures`, those of its tests, are lines with the place in the file.
    """
    from hestiaos_local import Policy, PolicyError

    told: dict[str, Any] = {"file": str(path), "name": None, "hash": None, "rules": 0, "limits": 0, "tests": 0}
    try:
        policy, failures = Policy.parse_and_test(_text(path), str(path))
    except PolicyError as error:
        return None, {**told, "mistakes": list(error.mistakes), "failures": []}
    counts = {"rules": len(policy.rules), "limits": len(policy.limits), "tests": len(policy.tests)}
    found = {**told, "name": policy.name, "hash": policy.hash, **counts, "mistakes": [], "failures": list(failures)}
    return policy, found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8: byte {error.start + 1} is wrong") from None

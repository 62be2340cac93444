"""Policies of version 2 for tests of the platform."""

from __future__ import annotations

from typing import Any

from hestiaos_local import Policy

__all__ = ["policy"]


def policy(*rules: str) -> Policy:
    """A policy named `team` with these rules, each the TOML of one table but for its name: `r1`, `r2` …"""
    tables: list[Any] = [f'[[rules]]\nname = "r{number}"\n{rule}\n' for number, rule in enumerate(rules, 1)]
    return Policy.parse('version = 2\nname = "team"\n' + "".join(tables), "team.toml")

"""The built-in policy under each engine, without its tests."""

from __future__ import annotations

from pkgutil import get_data

from hestiaos_local.governance import Policy
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine

__all__ = ["POLICIES", "TEXT"]

_DATA = get_data("hestiaos_local.governance", "default_policy.toml")
assert _DATA is not None
TEXT = _DATA.decode()
"""The file."""
POLICIES = [Policy.parse(TEXT, "p", engine=engine, tests=False) for engine in (Re2Engine(), ReEngine())]

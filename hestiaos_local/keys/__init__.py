"""API keys with names and roles, and key files."""

from __future__ import annotations

from hestiaos_local.keys._files import add_key, remove_key
from hestiaos_local.keys._keys import ROLES, Key, Keys, Role, accepted_keys, hash_key

__all__ = [
    "ROLES",
    "Key",
    "Keys",
    "Role",
    "accepted_keys",
    "add_key",
    "hash_key",
    "remove_key",
]


def __dir__() -> list[str]:
    return sorted(__all__)

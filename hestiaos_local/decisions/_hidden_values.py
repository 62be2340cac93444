"""The values that are never written: those of stored secrets, and the keys that the platform is given."""

from __future__ import annotations

from collections.abc import Iterable

from hestiaos_local._logging import logger
from hestiaos_local.governance import SecretRedactor
from hestiaos_local.storage import Storage, StoreError

__all__ = ["HiddenValues"]


class HiddenValues:
    """Reads the secrets of `storage` again each time, since other processes set some too; `keys` are hidden as well."""

    def __init__(self, storage: Storage, keys: Iterable[str] = ()) -> None:
        self._storage = storage
        self._keys = set(keys)
        self._made: tuple[frozenset[str], SecretRedactor] | None = None
        self._told = False

    def add(self, *keys: str) -> None:
        """Hide these values too."""
        self._keys.update(keys)

    def redactor(self) -> SecretRedactor:
        """The redactor for them, and for what looks like an API key. It may wait for the storage."""
        values = frozenset(self._keys).union(self._secrets())
        if self._made is None or self._made[0] != values:
            self._made = values, SecretRedactor(values)
        return self._made[1]

    def _secrets(self) -> Iterable[str]:
        """The secrets that can be read; others cannot be returned to a caller either."""
        try:
            return self._storage.secret_values()
        except StoreError as error:
            if error.problem != "encrypted":
                raise
            if not self._told:
                logger().warning("traces may hold values of stored secrets, which cannot be read: %s", error)
                self._told = True
            return ()

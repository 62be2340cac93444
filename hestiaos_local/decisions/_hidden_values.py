"""Values that must not be written: stored secrets and the keys passed to the platform."""

from __future__ import annotations

from collections.abc import Iterable

from hestiaos_local._logging import logger
from hestiaos_local.governance import SecretRedactor
from hestiaos_local.storage import Storage, StoreError

__all__ = ["HiddenValues"]


class HiddenValues:
    """The secrets in `storage`, which are read each time since other processes may set them, and `keys`."""

    def __init__(self, storage: Storage, keys: Iterable[str] = ()) -> None:
        self._storage = storage
        self._keys = set(keys)
        self._made: tuple[frozenset[str], SecretRedactor] | None = None
        self._told = False

    def add(self, *keys: str) -> None:
        """Add values to hide."""
        self._keys.update(keys)

    def redactor(self) -> SecretRedactor:
        """Return a redactor for these values, and anything that looks like an API key. It may wait for the storage."""
        values = frozenset(self._keys).union(self._secrets())
        if self._made is None or self._made[0] != values:
            self._made = values, SecretRedactor(values)
        return self._made[1]

    def _secrets(self) -> Iterable[str]:
        """Return the secrets that can be read. Others cannot leak, as they cannot be returned to a caller either."""
        try:
            return self._storage.secret_values()
        except StoreError as error:
            if error.problem != "encrypted":
                raise
            if not self._told:
                logger().warning("secrets are not redacted in traces, as they cannot be read: %s", error)
                self._told = True
            return ()

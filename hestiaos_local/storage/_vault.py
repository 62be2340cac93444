"""The secrets of a store: in clear text, or encrypted once a key has been given."""

from __future__ import annotations

from typing import Any

from hestiaos_local.storage._cipher import Cipher, WrongKeyError, is_available
from hestiaos_local.storage._database import Database, Transaction
from hestiaos_local.storage._errors import StoreError

__all__ = ["SECRETS_META", "VARIABLE", "Vault"]

VARIABLE = "HESTIAOS_STORE_KEY"
"""The environment variable with the key that encrypts the secrets."""

_HEADER = "secrets"  # the row of `meta` with the cipher's header, which exists once the secrets are encrypted
_LOCK = "secrets"
_UNCLEAN = "clear secrets"  # the row of `meta` that exists while clear text may remain in the file's free space
SECRETS_META = (_HEADER, _UNCLEAN)
"""The rows of `meta` about the secrets."""


class Vault:
    """The secrets stored in `database`, encrypted if there is a `key`.

    Raises `StoreError` if there is a key but the `cryptography` package is not installed. Encrypted secrets cannot be
    read or set without their key, only deleted.
    """

    def __init__(self, database: Database, key: str | None) -> None:
        self._database = database
        self._key = key
        self._known: tuple[bytes, Cipher] | None = None
        if key is not None:
            if not is_available():
                raise StoreError(
                    "encrypted secrets need the package cryptography: pip install 'hestiaos[platform]'",
                    problem="encrypted",
                )
            self._encrypt_clear(key)

    def get(self, name: str) -> str | None:
        """Return the value of a secret, or None if there is none."""
        with self._database.read() as db:
            row = db.execute("SELECT encrypted, value FROM secrets WHERE key = ?", (name,)).fetchone()
            header = _meta(db, _HEADER)
        return None if row is None else self._decrypted(name, row[0], row[1], header)

    def values(self) -> list[str]:
        """Return the values of all secrets except damaged ones, which cannot be read by anyone."""
        with self._database.read() as db:
            rows = db.execute("SELECT key, encrypted, value FROM secrets").fetchall()
            header = _meta(db, _HEADER) if rows else None
        values = []
        for name, encrypted, value in rows:
            try:
                values.append(self._decrypted(name, encrypted, value, header))
            except StoreError as error:
                if error.problem != "damaged":
                    raise
        return values

    def _decrypted(self, name: str, encrypted: bool, value: Any, header: bytes | None) -> str:
        if not encrypted:
            return _text(value)
        cipher = self._cipher(header)
        assert cipher is not None, "there is a header if a secret is encrypted"
        try:
            return cipher.decrypt(name, value)
        except WrongKeyError:
            raise StoreError(
                f"a secret in {self._database.name} is damaged: delete it, or set it again", problem="damaged"
            ) from None

    def set(self, name: str, value: str, provider: str) -> None:
        """Store a secret, replacing the one with this name."""
        while True:
            with self._database.read() as db:
                header = _meta(db, _HEADER)
            if header is None and self._key is not None:  # the file was replaced after it was opened
                self._encrypt_clear(self._key)
                continue
            cipher = self._cipher(header)
            stored = value.encode() if cipher is None else cipher.encrypt(name, value)
            with self._database.write(_LOCK) as db:
                if _meta(db, _HEADER) == header:  # otherwise another process has encrypted the secrets meanwhile
                    replaced = db.execute("SELECT 1 FROM secrets WHERE key = ?", (name,)).fetchone() is not None
                    db.execute(
                        "INSERT INTO secrets (key, provider, encrypted, value) VALUES (?, ?, ?, ?) "
                        "ON CONFLICT (key) DO UPDATE SET "
                        "provider = excluded.provider, encrypted = excluded.encrypted, value = excluded.value",
                        (name, provider, int(cipher is not None), stored),
                    )
                    break
        if replaced:
            self._database.truncate_log()

    def delete(self, name: str) -> bool:
        """Delete a secret. Return False if there was none."""
        with self._database.write(_LOCK) as db:
            deleted = db.execute("DELETE FROM secrets WHERE key = ?", (name,)).rowcount == 1
        if deleted:
            self._database.truncate_log()
        return deleted

    def names(self) -> list[str]:
        """Return the names of all secrets, sorted."""
        with self._database.read() as db:
            return [name for (name,) in db.execute("SELECT key FROM secrets ORDER BY key")]

    def _cipher(self, header: bytes | None) -> Cipher | None:
        """Return the cipher of this header, or None if the secrets are in clear text. Raises `StoreError`."""
        if header is None:
            return None
        if self._key is None:
            raise self._locked(f"set {VARIABLE} to the key that they were encrypted with")
        if self._known is None or self._known[0] != header:
            try:
                self._known = header, Cipher.restore(self._key, header)
            except WrongKeyError:
                raise self._locked(f"{VARIABLE} is not the key that they were encrypted with") from None
        return self._known[1]

    def _locked(self, advice: str) -> StoreError:
        return StoreError(f"the secrets in {self._database.name} are encrypted: {advice}", problem="encrypted")

    def _encrypt_clear(self, key: str) -> None:
        """Encrypt secrets that are stored in clear text, then remove all traces of the clear text from the file."""
        with self._database.read() as db:
            header, unclean = _meta(db, _HEADER), _meta(db, _UNCLEAN) is not None
        if header is None:
            cipher = Cipher.derive(key)
            with self._database.write(_LOCK) as db:
                if _meta(db, _HEADER) is None:  # otherwise another process encrypted them first
                    _encrypt_all(db, cipher)
                    unclean = True
        if unclean:  # also if an earlier process ended before it had rewritten the file
            self._database.rewrite()
            with self._database.write() as db:
                db.execute("DELETE FROM meta WHERE name = ?", (_UNCLEAN,))


def _text(value: Any) -> str:
    """Return a value in clear text, which older versions stored as text instead of bytes."""
    return value if isinstance(value, str) else bytes(value).decode()


def _encrypt_all(db: Transaction, cipher: Cipher) -> None:
    for name, value in db.execute("SELECT key, value FROM secrets").fetchall():
        db.execute(
            "UPDATE secrets SET encrypted = 1, value = ? WHERE key = ?", (cipher.encrypt(name, _text(value)), name)
        )
    db.execute("INSERT INTO meta (name, value) VALUES (?, ?), (?, ?)", (_HEADER, cipher.header(), _UNCLEAN, b""))


def _meta(db: Transaction, name: str) -> bytes | None:
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]

"""Encryption of secrets at rest: AES-256-GCM (NIST SP 800-38D) with a key derived by scrypt (RFC 7914)."""

from __future__ import annotations

import os
from hashlib import scrypt

from attrs import frozen

__all__ = ["Cipher", "WrongKeyError", "is_available"]

_SALT = 16  # bytes
_NONCE = 12
_COST = {"n": 2**14, "r": 8, "p": 1, "maxmem": 2**25}  # 16 MiB and about 50 ms, once per store
_CHECK = b"hestiaos"  # stored encrypted, so that a wrong key can be detected


class WrongKeyError(Exception):
    """The data was not encrypted with this key, or not for this name."""


@frozen(repr=False)
class Cipher:
    """Encrypts and decrypts with one key, which was derived with `salt`."""

    salt: bytes
    _key: bytes

    @classmethod
    def derive(cls, key: str, salt: bytes | None = None) -> Cipher:
        """Derive a cipher from a key of any length, by default with a new salt.

        A key of the environment may be any bytes, which Python reads as `os.fsdecode` does.
        """
        if salt is None:
            salt = os.urandom(_SALT)
        return cls(salt, scrypt(key.encode("utf-8", "surrogateescape"), salt=salt, dklen=32, **_COST))

    @classmethod
    def restore(cls, key: str, header: bytes) -> Cipher:
        """Derive the cipher that wrote `header`. Raises `WrongKeyError` if `key` is another key."""
        cipher = cls.derive(key, header[:_SALT])
        cipher.decrypt("", header[_SALT:])
        return cipher

    def header(self) -> bytes:
        """Return the header to store: the salt, and a check value that detects a wrong key."""
        return self.salt + self._encrypt("", _CHECK)

    def encrypt(self, name: str, value: str) -> bytes:
        """Encrypt a value so that only this key decrypts it, and only for this name."""
        return self._encrypt(name, value.encode())

    def decrypt(self, name: str, data: bytes) -> str:
        """Decrypt what `encrypt` returned. Raises `WrongKeyError`."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self._key).decrypt(data[:_NONCE], data[_NONCE:], name.encode()).decode()
        except InvalidTag:
            raise WrongKeyError from None

    def _encrypt(self, name: str, value: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)  # random nonces are safe for up to 2**32 values per key
        return nonce + AESGCM(self._key).encrypt(nonce, value, name.encode())


def is_available() -> bool:
    """Return whether the `cryptography` package is installed."""
    from importlib.util import find_spec

    return find_spec("cryptography") is not None

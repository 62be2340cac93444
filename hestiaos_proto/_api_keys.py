"""The API keys that this process has used: a pickle has a key's SHA-256, from which the key is found again."""

from __future__ import annotations

__all__ = ["key_digest", "recall_key", "remember_key"]

_used: set[str] = set()  # a forked process has its parent's


def remember_key(key: str) -> None:
    """Let `recall_key` find this key."""
    _used.add(key)


def key_digest(key: str) -> str:
    """Return the SHA-256 of a key, in hexadecimal."""
    from hashlib import sha256  # only pickling needs it, and it loads OpenSSL

    return sha256(key.encode()).hexdigest()


def recall_key(digest: str, environ_key: str | None = None) -> str:
    """Return the key with this SHA-256: one that was used, or `environ_key`. Raises `ValueError` if it is neither."""
    for key in (environ_key, *_used):
        if key is not None and key_digest(key) == digest:
            return key
    raise ValueError("a pickle does not have the API key: set HESTIAOS_API_KEY where the pickle is read")

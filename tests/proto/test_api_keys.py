"""The keys that a process has used, found again by their SHA-256."""

from __future__ import annotations

import hashlib

import pytest

from hestiaos_proto._api_keys import key_digest, recall_key, remember_key


def test_a_digest_is_the_sha_256_in_hexadecimal() -> None:
    assert key_digest("key") == hashlib.sha256(b"key").hexdigest()


def test_a_key_is_found_by_its_digest() -> None:
    for key in ("api-keys-1", "api-keys-2"):
        remember_key(key)
    for key in ("api-keys-1", "api-keys-2"):
        assert recall_key(key_digest(key)) == key
        assert recall_key(key_digest(key), "another") == key


def test_the_key_of_the_environment_is_found_where_its_digest_matches() -> None:
    digest = key_digest("api-keys-of-the-environment")
    assert recall_key(digest, "api-keys-of-the-environment") == "api-keys-of-the-environment"
    for environ_key in (None, "", "another"):
        with pytest.raises(ValueError, match="a pickle does not have the API key: set HESTIAOS_API_KEY where the"):
            recall_key(digest, environ_key)

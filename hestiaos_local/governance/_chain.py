"""A hash chain of the decision log: each entry's hash covers the preceding hash and its own record. Pure.

    hash = SHA-256(hash of the preceding entry + the record as it is stored, compact JSON in UTF-8)

The first entry follows 32 zero bytes. An entry that was changed, deleted, inserted or moved does not match its
neighbours. Two manipulations cannot be detected from the log alone: entries deleted at the end together with the stored
head, and a log rewritten from some entry on. Both are detected by comparing with a head that was stored elsewhere.

A log that several processes write has a chain for each, so that they do not wait for each other. The number of an entry
includes the number of its chain: `chain * CHAIN_SIZE + n`. `LogVerifier` verifies all chains of a log.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from attrs import frozen

__all__ = ["CHAIN_SIZE", "START", "Head", "chain_start", "entry_hash"]

CHAIN_SIZE: Final = 10**12
"""The maximum number of entries of a chain."""


@frozen
class Head:
    """A position in a chain: the number and the hash of an entry."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


def chain_start(chain: int) -> Head:
    """Return the position before the first entry of a chain."""
    return Head(chain * CHAIN_SIZE, bytes(32))


START: Final = chain_start(0)
"""The position before the first entry of the first chain."""


def entry_hash(previous: bytes, record: bytes) -> bytes:
    """Return the hash of an entry with this record, whose preceding entry has the hash `previous`."""
    return sha256(previous + record).digest()

"""A hash chain of the decision log: each entry's hash is made of the hash before it and its own text. Pure.

    hash = SHA-256(hash of the entry before + the record as it is stored, compact JSON in UTF-8)

The first entry follows 32 zero bytes. An entry that is changed, missing, inserted or out of its place does not fit to
its neighbours. What that cannot show: entries missing at the end, where the noted head was set back too, and a log that
was written anew from some entry on. Both show only against a head that was kept elsewhere.

A log that several processes write has a chain for each, so that they do not wait for each other. An entry's number has
that of its chain in front: `chain * CHAIN_SIZE + n`. `LogVerifier` checks all chains of a log.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from attrs import frozen

__all__ = ["CHAIN_SIZE", "START", "Head", "chain_start", "entry_hash"]

CHAIN_SIZE: Final = 10**12
"""How many numbers each chain has."""


@frozen
class Head:
    """A place in a chain: the number of an entry, and its hash."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


def chain_start(chain: int) -> Head:
    """The place before the first entry of a chain."""
    return Head(chain * CHAIN_SIZE, bytes(32))


START: Final = chain_start(0)
"""The place before the first entry of the first chain."""


def entry_hash(previous: bytes, record: bytes) -> bytes:
    """The hash of an entry whose record is this, after an entry of the hash `previous`."""
    return sha256(previous + record).digest()

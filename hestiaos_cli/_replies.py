"""What commands read of a server's JSON objects for which the client has no model.

Each is read by its `from_wire`, which raises a `RemoteProtocolError` for an object of another form: not every server is
a HestiaOS server.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from hestiaos_proto import Model

__all__ = [
    "AuditPage",
    "AuditRecord",
    "Counted",
    "Fault",
    "Limit",
    "Limits",
    "Message",
    "Tested",
    "Use",
    "Verification",
]


@frozen
class Verification(Model):
    """Whether an audit is intact."""

    intact: bool
    records: int
    head: str
    faults: list[Any]
    more_faults: int


@frozen
class Fault(Model):
    """What is wrong with a record of an audit."""

    number: int
    what: str


@frozen
class AuditPage(Model):
    """Records of an audit; `next` is the number after which there are more."""

    records: list[Any]
    next: int | None


@frozen
class AuditRecord(Model):
    """A record of an audit."""

    number: int
    record: dict[str, Any]


@frozen
class Counted(Model):
    """How a limit's counter stood at a decision; `window` is in seconds."""

    limit: str
    per: str
    window: float
    requests: int
    tokens: int


@frozen
class Limits(Model):
    """The limits of a policy."""

    limits: list[Any]


@frozen
class Limit(Model):
    """A limit; `window` is in seconds."""

    name: str
    per: str
    window: float
    used: list[Any]
    requests: int | None = None
    tokens: int | None = None


@frozen
class Use(Model):
    """What one subject has used of a limit."""

    subject: str | None = None
    requests: int | None = None
    tokens: int | None = None


@frozen
class Tested(Model):
    """What was found in a policy: the lines of its mistakes, and of its tests that fail."""

    mistakes: list[Any]
    failures: list[Any]
    tests: int


@frozen
class Message(Model):
    """A message of a conversation."""

    role: str
    content: str | None = None

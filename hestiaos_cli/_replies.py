"""Models of JSON objects of a server that commands read, and that the client returns as a `dict`.

`from_wire` raises a `RemoteProtocolError` for an object of another form, as the server may not be a HestiaOS server.
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
    """A fault of an audit, at one of its records."""

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
    """The state of a limit's counter at a decision. `window` is in seconds."""

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
    """The use of a limit by one subject."""

    subject: str | None = None
    requests: int | None = None
    tokens: int | None = None


@frozen
class Tested(Model):
    """The result of checking a policy: lines for its mistakes, and for its failed tests."""

    mistakes: list[Any]
    failures: list[Any]
    tests: int


@frozen
class Message(Model):
    """A message of a conversation."""

    role: str
    content: str | None = None

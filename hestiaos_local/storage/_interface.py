"""The interface of a platform's storage, whether in memory, in a file or on a database server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hestiaos_local.storage._records import (
    Approval,
    ApprovalStatus,
    Claim,
    Message,
    Outcome,
    Retention,
    Session,
    TraceRecord,
)

if TYPE_CHECKING:
    from hestiaos_local.governance import Charge, CounterUse, Exhausted, Limit, LogPage, Reservation

__all__ = ["Storage"]


class Storage(Protocol):
    """The storage of a platform. Several threads may use it.

    Every method is one short transaction; none stays open while work is executed. `now` is in seconds since 1970. Every
    method raises `StoreError` if the storage cannot be used. Nothing was changed then, and the call may be repeated.
    The exception is a connection to a server that is lost during the commit: the change may have been made. This is
    harmless: a charge leaves its limit's window, a claim expires, a trace stays without an outcome.
    """

    @property
    def kind(self) -> str:
        """`"memory"`, `"sqlite"` or `"postgresql"`."""
        ...

    @property
    def blocking(self) -> bool:
        """Whether a call may wait for a disk, another process or a network. An event loop then calls it in a thread."""
        ...

    def close(self) -> None:
        """Close the storage. Closing it again does nothing."""
        ...

    def works(self) -> bool:
        """Return whether the storage can be read and written, within about a second."""
        ...

    # One execution per Idempotency-Key. The newest `MAX_RESULTS` results are kept for repeated requests.

    def claim(self, key: str, fingerprint: str, *, now: float, lease: float) -> Claim:
        """Claim a key for `lease` seconds for the request with this fingerprint, or return why that is not possible.

        A claim whose lease has expired is void: the process that made it has crashed.
        """
        ...

    def finish(self, key: str, token: int, result: Any) -> bool:
        """Store the result, a JSON value, of a claimed key. Return False if the claim expired and was replaced."""
        ...

    def abandon(self, key: str, token: int) -> None:
        """Release a claimed key without a result."""
        ...

    # Admission.

    def reserve(self, charges: Sequence[Charge], *, now: float) -> Reservation | Exhausted:
        """Charge a call to every limit before it is executed, or to none if one of them is exhausted.

        No limit is exceeded, however many threads and processes reserve at once.
        """
        ...

    def settle(self, reservation: Reservation, *, tokens: int) -> None:
        """Replace the reserved tokens with those that the call used, after it has ended.

        Without this call, as after a crash, the reserved tokens count until they leave the limit's window.
        """
        ...

    def usage(self, limits: Sequence[Limit], *, now: float) -> list[CounterUse]:
        """Return the use of each limit, by each key, agent or session with any use in the current window."""
        ...

    # Traces are stored in two phases, each of which is a record of the decision log.

    def add_trace(self, trace: TraceRecord) -> None:
        """Store a decision. It survives a crash of the process and of the machine."""
        ...

    def finish_trace(self, trace_id: str, outcome: Outcome) -> bool:
        """Store the outcome of a trace. Return False if the trace already has one, or was deleted."""
        ...

    def trace(self, trace_id: str) -> TraceRecord | None:
        """Return the trace with this id, or None if there is none."""
        ...

    def traces(self, *, limit: int = 100, decision: str | None = None, before: str | None = None) -> list[TraceRecord]:
        """Return up to `limit` traces, newest first, optionally only those with this decision.

        For the next page, pass the last trace's id as `before`. If that trace was deleted, the page is empty.
        """
        ...

    def decisions(self, newest: int | None = None) -> dict[str, int]:
        """Count the traces of each decision, including deleted ones, or only among the `newest` stored ones."""
        ...

    def log(self, *, after: int = 0, limit: int = 1000) -> LogPage:
        """Return a page of the decision log: up to `limit` entries after this number, of about 1 MiB at most.

        A page has entries of one chain. Its `next` is the `after` of the next page.
        """
        ...

    # Approvals.

    def add_approval(self, approval: Approval, *, now: float) -> Approval:
        """Request an approval. Return it, or the earlier one for the same call if it is neither used nor expired."""
        ...

    def approval(self, approval_id: str, *, now: float) -> Approval | None:
        """Return the approval with this id, or None if there is none."""
        ...

    def approvals(self, *, now: float, status: ApprovalStatus | None = None, limit: int = 100) -> list[Approval]:
        """Return up to `limit` approvals, newest first, optionally only those with `status`."""
        ...

    def decide_approval(self, approval_id: str, approve: bool, *, by: str, now: float) -> bool:
        """Approve or deny an approval. Return False if it is not pending: decided, expired or unknown."""
        ...

    def use_approval(self, call_hash: str, *, now: float) -> Approval | None:
        """Use the approval of this call, which only one caller can. Return None if there is no approved one."""
        ...

    def release_approval(self, approval_id: str) -> None:
        """Undo the use of an approval, as its call was not executed."""
        ...

    # Sessions.

    def add_messages(self, session_id: str, messages: Iterable[Message], *, now: float) -> None:
        """Append messages to a session, which is created if it does not exist."""
        ...

    def messages(self, session_id: str, *, last: int | None = None) -> list[Message]:
        """Return the messages of a session in order: all, or the last `last`."""
        ...

    def session(self, session_id: str) -> Session | None:
        """Return the session with this id, or None if there is none."""
        ...

    def sessions(self, *, limit: int = 100, after: Session | None = None) -> list[Session]:
        """Return up to `limit` sessions, most recently used first, starting after the session `after`."""
        ...

    def delete_session(self, session_id: str) -> bool:
        """Delete a session and its messages. Return False if there was none."""
        ...

    def active_sessions(self, since: float) -> int:
        """Count the sessions used since this time."""
        ...

    # Secrets.

    def secret(self, key: str) -> str | None:
        """Return the value of a secret, or None if there is none."""
        ...

    def set_secret(self, key: str, value: str, provider: str) -> None:
        """Store a secret, replacing the one with this key."""
        ...

    def delete_secret(self, key: str) -> bool:
        """Delete a secret. Return False if there was none."""
        ...

    def secret_values(self) -> list[str]:
        """Return the values of all secrets, which must be redacted everywhere else."""
        ...

    def secret_names(self) -> list[str]:
        """Return the keys of all secrets, sorted."""
        ...

    def prune(self, retention: Retention, *, now: float) -> int:
        """Delete what exceeds the retention, in short transactions. Return the number of items deleted."""
        ...

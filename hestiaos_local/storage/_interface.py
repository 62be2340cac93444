"""The interface of a platform's storage: the same for memory, a file and a database server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from hestiaos_local.governance import Charge, CounterUse, Exhausted, Limit, LogPage, Reservation
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

__all__ = ["Storage"]


class Storage(Protocol):
    """The storage of a platform. Several threads may use it.

    Every method is one short transaction, none of which is open while work is done. `now` is in seconds since 1970.
    Each raises `StoreError` where the storage cannot be used; then nothing of what it was to do was done, and it may
    be called again. Where the connection to a server is lost in the last moment, it may have been done all the same;
    none does harm then: what is charged leaves its limit's window, a claim runs out, a trace has no outcome.
    """

    @property
    def kind(self) -> str:
        """`"memory"`, or how it is stored: `"sqlite"`, `"postgresql"`."""
        ...

    @property
    def blocking(self) -> bool:
        """Whether a call may wait for a disk, another process or a network: an event loop then makes it in a thread."""
        ...

    def close(self) -> None:
        """Close it. A second time does nothing."""
        ...

    def works(self) -> bool:
        """Whether it can be read and written. Never waits much longer than a second."""
        ...

    # One execution for one Idempotency-Key. The result is kept for repeats, the newest `MAX_RESULTS` of them.

    def claim(self, key: str, fingerprint: str, *, now: float, lease: float) -> Claim:
        """Claim a key for the request of this fingerprint, for `lease` seconds; what to do instead, if it was claimed.

        A claim whose lease has run out is void: the process that made it has crashed.
        """
        ...

    def finish(self, key: str, token: int, result: Any) -> bool:
        """Keep the result, a JSON value, of a claimed key. False where another claim took the place of a void one."""
        ...

    def abandon(self, key: str, token: int) -> None:
        """Free a claimed key: its request has no result."""
        ...

    # Admission.

    def reserve(self, charges: Sequence[Charge], *, now: float) -> Reservation | Exhausted:
        """Charge a call before it is executed: all of it, or, where a limit has no room, nothing.

        However many threads and processes reserve at once, no limit is overrun.
        """
        ...

    def settle(self, reservation: Reservation, *, tokens: int) -> None:
        """Charge the tokens that a call used in place of those reserved, once it is over.

        Without it, as after a crash, what is reserved counts until it leaves the limit's window.
        """
        ...

    def usage(self, limits: Sequence[Limit], *, now: float) -> list[CounterUse]:
        """What is used of each limit, by each key, agent or session of which something counts now."""
        ...

    # Traces, in two phases, each a record of the decision log.

    def add_trace(self, trace: TraceRecord) -> None:
        """Keep what was decided. It outlives a crash of the process and of the machine."""
        ...

    def finish_trace(self, trace_id: str, outcome: Outcome) -> bool:
        """Keep the outcome. False where the trace has one already, or is not kept any more."""
        ...

    def trace(self, trace_id: str) -> TraceRecord | None:
        """One trace."""
        ...

    def traces(self, *, limit: int = 100, decision: str | None = None, before: str | None = None) -> list[TraceRecord]:
        """The newest traces, the newest first: of all, or of one decision.

        `before` is the id of a trace, for the page that comes after the one that it ended; where that trace is not
        kept any more, there is none.
        """
        ...

    def decisions(self, newest: int | None = None) -> dict[str, int]:
        """The number of times that each decision was taken: ever, or in the newest so many traces."""
        ...

    def log(self, *, after: int = 0, limit: int = 1000) -> LogPage:
        """A page of the decision log: its first entries after the one of this number, of about 1 MiB at most.

        A page is of one chain of the log, and says after which number the next page comes.
        """
        ...

    # Approvals.

    def add_approval(self, approval: Approval, *, now: float) -> Approval:
        """Ask for an approval. Returns it, or the one that was asked for the same call and was not used or expired."""
        ...

    def approval(self, approval_id: str, *, now: float) -> Approval | None:
        """One approval."""
        ...

    def approvals(self, *, now: float, status: ApprovalStatus | None = None, limit: int = 100) -> list[Approval]:
        """The newest approvals, the newest first: of all, or of one status."""
        ...

    def decide_approval(self, approval_id: str, approve: bool, *, by: str, now: float) -> bool:
        """Approve or deny. False where it is not pending: decided, expired, or not known."""
        ...

    def use_approval(self, call_hash: str, *, now: float) -> Approval | None:
        """Use the approval of this call, which one caller of all can, once; `None` where there is none."""
        ...

    def release_approval(self, approval_id: str) -> None:
        """Undo the use of an approval: the call was not executed."""
        ...

    # Sessions.

    def add_messages(self, session_id: str, messages: Iterable[Message], *, now: float) -> None:
        """Add messages to a session, which begins with its first ones."""
        ...

    def messages(self, session_id: str, *, last: int | None = None) -> list[Message]:
        """A session's messages in order: all, or the last so many."""
        ...

    def session(self, session_id: str) -> Session | None:
        """One session."""
        ...

    def sessions(self, *, limit: int = 100, after: Session | None = None) -> list[Session]:
        """The sessions, last used first: those that come after one of them, or from the first."""
        ...

    def delete_session(self, session_id: str) -> bool:
        """Delete a session and its messages. False where there was none."""
        ...

    def active_sessions(self, since: float) -> int:
        """The number of sessions that were used since then."""
        ...

    # Secrets.

    def secret(self, key: str) -> str | None:
        """A secret's value."""
        ...

    def set_secret(self, key: str, value: str, provider: str) -> None:
        """Keep a secret, in place of the one of this key if there is one."""
        ...

    def delete_secret(self, key: str) -> bool:
        """Delete a secret. False where there was none."""
        ...

    def secret_values(self) -> list[str]:
        """The values of all secrets: what must not be written anywhere else."""
        ...

    def secret_names(self) -> list[str]:
        """The keys of all secrets, sorted."""
        ...

    def prune(self, retention: Retention, *, now: float) -> int:
        """Delete what need not be kept any more, a little in each transaction. Returns how much was deleted."""
        ...

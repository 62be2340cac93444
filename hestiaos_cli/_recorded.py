"""Read the recorded decisions of an audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hestiaos_cli._files import audit_records
from hestiaos_cli._replies import Counted
from hestiaos_local import recorded_decision
from hestiaos_proto import RemoteProtocolError

if TYPE_CHECKING:
    from hestiaos import Client
    from hestiaos_local import RecordedDecision

__all__ = ["recorded_decisions"]


def recorded_decisions(client: Client) -> Iterator[RecordedDecision]:
    """Yield the decisions in order. Raises `RemoteProtocolError` if a server's record has another format."""
    for entry in audit_records(client):
        try:
            decision = _checked(recorded_decision(entry["record"]))
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise RemoteProtocolError(f"the record {entry['number']} has another form than the platform's") from error
        if decision is not None:
            yield decision


def _checked(decision: RecordedDecision | None) -> RecordedDecision | None:
    """Raise if a fact that a policy uses has the wrong type."""
    if decision is None:
        return None
    texts = () if decision.facts is None else decision.facts.texts
    if not all(isinstance(each, str) for each in (decision.trace_id, decision.decision, *texts)):
        raise TypeError("a text is not one")
    for use in decision.admission.get("limits", ()):
        Counted.from_wire(use)
    return decision

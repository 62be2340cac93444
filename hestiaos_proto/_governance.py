"""The namespace `governance` of a client: how it decides, what it decided, and what waits for approval."""

from __future__ import annotations

from typing import Any, Unpack

from hestiaos_proto import operations
from hestiaos_proto._call_options import CallOptions
from hestiaos_proto._executors import AsyncNamespace, Namespace, documented_as
from hestiaos_proto._listed_models import Approval
from hestiaos_proto._models import TraceResponse

__all__ = ["AsyncGovernance", "Governance"]


class AsyncGovernance(AsyncNamespace):
    """Governance: coroutines."""

    async def explain_async(
        self, command_type: str, command_input: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """Ask how governance would decide on a command, and why.

        `command_type` is the kind of command (`"RUN"`, `"WRITE"`), `command_input` what it is to do:
        `explain("RUN", {"input": "rm -rf /"})`. Raises `ValueError` without an input if the type is not in
        capitals.
        """
        return await self._execute_async(operations.explain(command_type, command_input), options)

    async def status_async(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Fetch governance's drift and stability scores."""
        return await self._execute_async(operations.governance_status(), options)

    async def trace_async(self, command_id: str, **options: Unpack[CallOptions]) -> dict[str, Any] | None:
        """Fetch the trace of a command, `None` if there is none. Every other failure is raised."""
        return await self._execute_async(operations.governance_trace(command_id), options)

    async def traces_async(
        self, limit: int = 100, decision: str | None = None, before: str | None = None, **options: Unpack[CallOptions]
    ) -> list[TraceResponse]:
        """List the newest traces, the newest first: all, or those of one `decision` (`"BLOCK"`).

        With `before`, the id of a trace, those that are older. The input, cut to 1,000 characters, the outcome, and the
        session, agent and key are in the `extra` of each.
        """
        return await self._execute_async(operations.list_traces(limit=limit, decision=decision, before=before), options)

    async def approvals_async(
        self, status: str | None = None, limit: int = 100, **options: Unpack[CallOptions]
    ) -> list[Approval]:
        """List the newest approvals, the newest first: all, or those of one `status` (`"pending"`)."""
        return await self._execute_async(operations.list_approvals(status=status, limit=limit), options)

    async def approve_async(self, approval_id: str, **options: Unpack[CallOptions]) -> Approval:
        """Approve what governance has blocked: the same call, by any caller, passes once.

        Raises `NotFound` if there is no such approval, and `StatusError` (409) if it was denied, or has expired.
        """
        return await self._execute_async(operations.decide_approval(approval_id, True), options)

    async def deny_async(self, approval_id: str, **options: Unpack[CallOptions]) -> Approval:
        """Deny an approval. Raises as `approve` does."""
        return await self._execute_async(operations.decide_approval(approval_id, False), options)

    async def policy_async(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Fetch the policy in use: its `name`, `version`, `hash` (SHA-256) and `text`."""
        return await self._execute_async(operations.get_policy(), options)

    async def judge_async(
        self,
        *,
        input: str | None = None,
        output: str | None = None,
        tool: str | None = None,
        arguments: dict[str, Any] | None = None,
        command_type: str = "RUN",
        agent: str | None = None,
        session: str | None = None,
        key: str | None = None,
        model: str | None = None,
        **options: Unpack[CallOptions],
    ) -> dict[str, Any]:
        """Ask what the policy decides on an input, an output or a tool's call, and why. Nothing is executed.

        Give one of `input`, `output` and `tool` with its `arguments`; the rest is what a rule's conditions may name.
        The result has the `decision`, `rule`, `reason` and `risk_score`, the `forms` in which patterns see the text
        besides itself, the `redactions`, whether an `approval` is requested, and in `shadow` what rules in shadow mode
        would have done.
        """
        operation = operations.judge(
            input=input,
            output=output,
            tool=tool,
            arguments=arguments,
            command_type=command_type,
            agent=agent,
            session=session,
            key=key,
            model=model,
        )
        return await self._execute_async(operation, options)

    async def test_policy_async(self, text: str, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Have the server read the text of a policy and run its tests; the policy in use is not changed.

        The result says what is wrong with the text (`mistakes`), how many tests there are (`tests`), and which fail and
        why (`failures`).
        """
        return await self._execute_async(operations.test_policy(text), options)

    async def limits_async(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Fetch the `limits` of the policy, and what is used of them."""
        return await self._execute_async(operations.get_limits(), options)

    async def export_audit_async(
        self, after: int = 0, limit: int = 100, **options: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """Fetch a page of the audit: its `records` after this number, in their order, each with its hash.

        `next` is the `after` of the next page, `None` at the end.
        """
        return await self._execute_async(operations.export_audit(after=after, limit=limit), options)

    async def verify_audit_async(self, known: str | None = None, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Have the server look for records of its audit that were changed, removed or inserted.

        The result has `intact`, how many `records` there are, and of each of the `faults` the `number` of the record
        and `what` is wrong there. Keep its `head` elsewhere, and give it as `known` later: records that were removed at
        the end are found only with it. It may take minutes; the client waits for ten.
        """
        return await self._execute_async(operations.verify_audit(known=known), options)


class Governance(Namespace, AsyncGovernance):
    """Governance: methods of both kinds."""

    @documented_as(AsyncGovernance.explain_async)
    def explain(
        self, command_type: str, command_input: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> dict[str, Any]:
        return self._execute(operations.explain(command_type, command_input), options)

    @documented_as(AsyncGovernance.status_async)
    def status(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.governance_status(), options)

    @documented_as(AsyncGovernance.trace_async)
    def trace(self, command_id: str, **options: Unpack[CallOptions]) -> dict[str, Any] | None:
        return self._execute(operations.governance_trace(command_id), options)

    @documented_as(AsyncGovernance.traces_async)
    def traces(
        self, limit: int = 100, decision: str | None = None, before: str | None = None, **options: Unpack[CallOptions]
    ) -> list[TraceResponse]:
        return self._execute(operations.list_traces(limit=limit, decision=decision, before=before), options)

    @documented_as(AsyncGovernance.approvals_async)
    def approvals(self, status: str | None = None, limit: int = 100, **options: Unpack[CallOptions]) -> list[Approval]:
        return self._execute(operations.list_approvals(status=status, limit=limit), options)

    @documented_as(AsyncGovernance.approve_async)
    def approve(self, approval_id: str, **options: Unpack[CallOptions]) -> Approval:
        return self._execute(operations.decide_approval(approval_id, True), options)

    @documented_as(AsyncGovernance.deny_async)
    def deny(self, approval_id: str, **options: Unpack[CallOptions]) -> Approval:
        return self._execute(operations.decide_approval(approval_id, False), options)

    @documented_as(AsyncGovernance.policy_async)
    def policy(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.get_policy(), options)

    @documented_as(AsyncGovernance.judge_async)
    def judge(
        self,
        *,
        input: str | None = None,
        output: str | None = None,
        tool: str | None = None,
        arguments: dict[str, Any] | None = None,
        command_type: str = "RUN",
        agent: str | None = None,
        session: str | None = None,
        key: str | None = None,
        model: str | None = None,
        **options: Unpack[CallOptions],
    ) -> dict[str, Any]:
        operation = operations.judge(
            input=input,
            output=output,
            tool=tool,
            arguments=arguments,
            command_type=command_type,
            agent=agent,
            session=session,
            key=key,
            model=model,
        )
        return self._execute(operation, options)

    @documented_as(AsyncGovernance.test_policy_async)
    def test_policy(self, text: str, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.test_policy(text), options)

    @documented_as(AsyncGovernance.limits_async)
    def limits(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.get_limits(), options)

    @documented_as(AsyncGovernance.export_audit_async)
    def export_audit(self, after: int = 0, limit: int = 100, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.export_audit(after=after, limit=limit), options)

    @documented_as(AsyncGovernance.verify_audit_async)
    def verify_audit(self, known: str | None = None, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.verify_audit(known=known), options)

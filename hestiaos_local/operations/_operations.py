"""All operations that execute nothing, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hestiaos_local._measurements import Measurements
from hestiaos_local.execution import Agent, Executor
from hestiaos_local.flow import Call, Flow
from hestiaos_local.governance import Policy
from hestiaos_local.operations._agents import agent_operations
from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_local.operations._approvals import approval_operations
from hestiaos_local.operations._audit import audit_operations
from hestiaos_local.operations._policies import policy_operations
from hestiaos_local.operations._secrets import secret_operations
from hestiaos_local.operations._sessions import session_operations
from hestiaos_local.operations._system import system_config, system_operations, system_status
from hestiaos_local.operations._traces import trace_operations
from hestiaos_local.storage import Storage
from hestiaos_proto import NotFound

__all__ = ["Operations"]


class Operations:
    """Performs operations on a platform's storage and metrics. `policy` returns the policy in use."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        storage: Storage,
        executor: Executor,
        agents: Mapping[str, Agent] | None,
        measurements: Measurements,
        clock: Callable[[], float],
    ) -> None:
        self._answers: Answers = {
            **system_operations(storage, measurements, clock),
            **trace_operations(storage, policy),
            **policy_operations(policy),
            **approval_operations(storage, clock),
            **audit_operations(storage, policy, clock),
            **agent_operations(agents),
            **session_operations(storage),
            **secret_operations(storage),
        }
        self._flows: Mapping[str, Callable[[], Flow[Any]]] = {
            "system_status": lambda: system_status(storage, executor, measurements),
            "system_config": lambda: system_config(storage, executor, policy),
        }

    def answer(self, operation: str, arguments: Arguments, *, key: str | None) -> Flow[Any]:
        """Return the result of an operation. `key` is the name of the caller's API key.

        Raises `StatusError`, `NotFound` for an unknown operation.
        """
        if operation in self._flows:
            return (yield from self._flows[operation]())
        if operation not in self._answers:
            raise NotFound(f"there is no operation {operation!r}", code="UNKNOWN_OPERATION")
        answer = self._answers[operation]
        return (yield Call(lambda: answer(arguments, key)))

"""The policy and executor of a platform, which are replaced together on reload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import cache
from typing import TYPE_CHECKING

from attrs import frozen

from hestiaos_local._arguments import check_executor, check_policy
from hestiaos_local._measurements import Measurements
from hestiaos_local.decisions import Governor, HiddenValues, Keep
from hestiaos_local.execution import Agent, EchoExecutor, Executor, Work
from hestiaos_local.flow import drive_sync
from hestiaos_local.governance import Policy
from hestiaos_local.operations import Executions
from hestiaos_local.storage import Storage, Store
from hestiaos_proto import StatusError

if TYPE_CHECKING:
    from hestiaos_local.operations import Operations

__all__ = ["Setup", "rehearse", "set_up"]

_WORD = "sk-w\u00f6rd\u00ad"
"""It may begin an API key and is not normalized, so that the patterns for keys and normal forms are compiled too."""


@frozen
class Setup:
    """An executor and the agents, under one policy."""

    executor: Executor
    agents: Mapping[str, Agent] | None
    governor: Governor
    executions: Executions
    operations: Callable[[], Operations]
    """Creates the operations that execute nothing, on first use: a process that executes one text needs none."""


def set_up(
    policy: Policy,
    executor: Executor,
    agents: Mapping[str, Agent] | None,
    *,
    storage: Storage,
    hidden: HiddenValues,
    keep: Keep,
    clock: Callable[[], float],
    new_id: Callable[[], str],
    measurements: Measurements,
) -> Setup:
    """Create a setup. The keyword arguments are the same for the lifetime of a platform. Raises `TypeError`."""
    check_policy(policy)
    check_executor(executor)
    hidden.add(*getattr(executor, "hidden_values", ()))
    governor = Governor(policy, storage, hidden, keep, clock, new_id, measurements)
    executions = Executions(governor, storage, executor, agents, clock, new_id)

    @cache
    def operations() -> Operations:
        from hestiaos_local.operations import Operations

        return Operations(lambda: policy, storage, executor, agents, measurements, clock)

    return Setup(executor, agents, governor, executions, operations)


def rehearse(policy: Policy) -> None:
    """Compile a policy's patterns and execute one word under it in memory, so that no request waits for that."""
    policy.compile()
    with closing(Store()) as store:
        setup = set_up(
            policy,
            EchoExecutor(),
            None,
            storage=store,
            hidden=HiddenValues(store),
            keep="text",
            clock=lambda: 0.0,
            new_id=lambda: "rehearsal",
            measurements=Measurements(lambda: 0.0),
        )
        with suppress(StatusError):  # the policy may block everything
            for _ in drive_sync(setup.executions.complete(Work(messages=[{"role": "user", "content": _WORD}]))):
                pass

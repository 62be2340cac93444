"""An executor over several models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping

from attrs import evolve

from hestiaos_local.execution._executors import Checkable, Executor, keeps_max_tokens
from hestiaos_local.execution._outputs import Output
from hestiaos_local.execution._work import Work
from hestiaos_proto import NotFound, StatusError

__all__ = ["ModelRouter"]


class ModelRouter:
    """Passes work to the executor of its model. The first executor is the default.

    `executors` are by the names of the models for callers; each executor knows its model's name on its server.
    `execute` and `execute_sync` raise `NotFound` for an unknown model.
    """

    def __init__(self, executors: Mapping[str, Executor]) -> None:
        if not executors:
            raise ValueError("a router needs at least one executor")
        self._executors = dict(executors)

    @property
    def keeps_max_tokens(self) -> bool:
        """Whether all of its executors enforce `max_tokens` themselves."""
        return all(map(keeps_max_tokens, self._executors.values()))

    @property
    def keeps_timeout(self) -> bool:
        """Whether each of its executors enforces the `timeout` of its works."""
        return all(getattr(each, "keeps_timeout", False) for each in self._executors.values())

    @property
    def models(self) -> list[str]:
        """The names of the models."""
        return list(self._executors)

    @property
    def hidden_values(self) -> frozenset[str]:
        """The keys of the model servers, which must be redacted."""
        return frozenset().union(*(getattr(each, "hidden_values", ()) for each in self._executors.values()))

    @property
    def gateways(self) -> frozenset[str]:
        """The names of its executors in the `Via` of their requests."""
        return frozenset().union(*(getattr(each, "gateways", ()) for each in self._executors.values()))

    @property
    def model(self) -> str:
        """The name of the default model."""
        return next(iter(self._executors))

    async def check(self) -> StatusError | None:
        """Return why one of the models is unavailable, or None if all are available, as far as they can be checked."""
        from anyio import create_task_group

        errors: list[StatusError] = []

        async def check(executor: Executor) -> None:
            if isinstance(executor, Checkable) and (error := await executor.check()) is not None:
                errors.append(error)

        async with create_task_group() as tasks:
            for executor in self._executors.values():
                tasks.start_soon(check, executor)
        return errors[0] if errors else None

    def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        """Yield the outputs of the executor of the work's model."""
        return self._of(work).execute(evolve(work, model=None))

    def execute_sync(self, work: Work) -> Generator[Output, None, None]:
        """Yield the same outputs without an event loop."""
        return self._of(work).execute_sync(evolve(work, model=None))

    def _of(self, work: Work) -> Executor:
        name = self.model if work.model is None else work.model
        executor = self._executors.get(name)
        if executor is None:
            raise NotFound(
                f"there is no model {name!r}; known models: {', '.join(self._executors)}", code="MODEL_NOT_FOUND"
            )
        return executor

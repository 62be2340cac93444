"""The models that an executor has."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any

from hestiaos_local.execution import EchoExecutor, Executor
from hestiaos_local.flow import Await, Flow

__all__ = ["default_model", "find_model", "list_models"]


def default_model(executor: Executor) -> str:
    """The name of the model that answers those who name none."""
    return getattr(executor, "model", None) or EchoExecutor.model


def find_model(executor: Executor) -> Flow[str]:
    """The same, where a model server may have to be asked. Raises the `StatusError` of one that does not answer."""
    find: Any = getattr(executor, "find_model", None)
    name: str = default_model(executor) if find is None else (yield Await(find))
    return name


async def list_models(executor: Executor) -> list[str]:
    """The names of the models that a work may ask for."""
    listed: Any = getattr(executor, "models", None)
    if iscoroutinefunction(listed):  # a model server has to be asked
        listed = await listed()
    return [default_model(executor)] if listed is None else list(listed)

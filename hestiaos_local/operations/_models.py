"""Find the models of an executor."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any

from hestiaos_local.execution import EchoExecutor, Executor
from hestiaos_local.flow import Await, Flow

__all__ = ["default_model", "find_model", "list_models"]


def default_model(executor: Executor) -> str:
    """Return the name of the default model."""
    return getattr(executor, "model", None) or EchoExecutor.model


def find_model(executor: Executor) -> Flow[str]:
    """Return the name of the default model, asking the model server if needed. Raises a `StatusError` if that fails."""
    find: Any = getattr(executor, "find_model", None)
    name: str = default_model(executor) if find is None else (yield Await(find))
    return name


async def list_models(executor: Executor) -> list[str]:
    """Return the names of the available models."""
    listed: Any = getattr(executor, "models", None)
    if iscoroutinefunction(listed):  # it asks the model server
        listed = await listed()
    return [default_model(executor)] if listed is None else list(listed)

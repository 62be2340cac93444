"""Executors, which perform work.

An executor is the built-in echo, a relay to a model server, a router over several of them, or a function
(`function_executor`). `run_executor` lets an executor perform work within its timeout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_local._lazy_names import lazy_names
from hestiaos_local.execution._agents import Agent
from hestiaos_local.execution._echo import EchoExecutor
from hestiaos_local.execution._executors import AsyncExecutor, Checkable, Executor, SyncExecutor
from hestiaos_local.execution._outputs import Finish, FinishReason, Output, Text, ToolCall, Usage
from hestiaos_local.execution._running import run_executor, run_executor_sync
from hestiaos_local.execution._texts import further_texts, with_texts
from hestiaos_local.execution._usage import OutputCounter, estimate_input, estimate_tokens, tokens_in
from hestiaos_local.execution._window import MESSAGE_TOKENS, history_window
from hestiaos_local.execution._work import Message, Work, last_user_text, message_text

if TYPE_CHECKING:
    from hestiaos_local.execution._configuration import Configuration, ModelConfig
    from hestiaos_local.execution._functions import ExecutorFunction, function_executor
    from hestiaos_local.execution._relay import RelayExecutor
    from hestiaos_local.execution._router import ModelRouter
    from hestiaos_local.toml import ConfigurationError

__all__ = [
    "MESSAGE_TOKENS",
    "Agent",
    "AsyncExecutor",
    "Checkable",
    "Configuration",
    "ConfigurationError",
    "EchoExecutor",
    "Executor",
    "ExecutorFunction",
    "Finish",
    "FinishReason",
    "Message",
    "ModelConfig",
    "ModelRouter",
    "Output",
    "OutputCounter",
    "RelayExecutor",
    "SyncExecutor",
    "Text",
    "ToolCall",
    "Usage",
    "Work",
    "estimate_input",
    "estimate_tokens",
    "function_executor",
    "further_texts",
    "history_window",
    "last_user_text",
    "message_text",
    "run_executor",
    "run_executor_sync",
    "tokens_in",
    "with_texts",
]

# What needs httpx, reads a file, or replaces the echo is imported on first use.
if not TYPE_CHECKING:  # hidden from type checkers, which would accept every name
    __getattr__ = lazy_names(
        __name__,
        {
            "hestiaos_local.execution._configuration": ("Configuration", "ModelConfig"),
            "hestiaos_local.execution._functions": ("ExecutorFunction", "function_executor"),
            "hestiaos_local.execution._relay": ("RelayExecutor",),
            "hestiaos_local.execution._router": ("ModelRouter",),
            "hestiaos_local.toml": ("ConfigurationError",),
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)

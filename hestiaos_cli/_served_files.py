"""The files of a served platform (policy, keys and configuration), which are read at its start and on SIGHUP."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hestiaos_cli._failures import failure_of, one_line, tell
from hestiaos_cli._local_platform import models_of, policy_of
from hestiaos_cli._settings import Settings
from hestiaos_local import Agent, EchoExecutor, Executor, Keys, Platform, Policy

__all__ = ["ServedFiles"]

T = TypeVar("T")


class ServedFiles:
    """The policy, the keys, and the models and agents of the configuration, or the model server of the options.

    Raises like `Policy.load`, `Keys.load_some` and `models_of`.
    """

    def __init__(
        self, settings: Settings, policy: Path | None, keys: Path | None, model_options: tuple[str | None, ...] = ()
    ) -> None:
        self._settings = settings
        self._policy_file = policy
        self._keys_file = keys
        self._model_options = model_options
        self.policy = self._read_policy()
        self.keys = self._read_keys()
        self.models = self._read_models()

    def reload(self, platform: Platform) -> Callable[[], None] | None:
        """Read the files again. Return a function that applies them, or `None` after a mistake, which is reported."""
        mistakes: list[str] = []
        policy = self._attempt(self._read_policy, mistakes)
        keys = self._attempt(self._read_keys, mistakes)
        models = self._attempt(self._read_models, mistakes)
        for mistake in dict.fromkeys(mistakes):  # two may need the same file
            self._say({"reloaded": False, "mistake": mistake}, f"not reloaded: {mistake}")
        if mistakes or policy is None or models is None:
            return None
        platform.prepare(policy)
        return partial(self._put_into_effect, platform, policy, keys, models)

    def _put_into_effect(self, platform: Platform, policy: Policy, keys: Keys | None, models: dict[str, Any]) -> None:
        executor: Executor = models.get("executor", EchoExecutor())
        agents: dict[str, Agent] | None = models.get("agents")
        platform.reload(policy, executor=executor, agents=agents)
        if self.keys is not None and keys is not None:
            self.keys.replace(keys)
        names = getattr(executor, "models", None)
        counts = {
            "keys": None if self.keys is None else len(self.keys),
            "models": len(names) if isinstance(names, list) else None,
            "agents": None if agents is None else len(agents),
        }
        told = [_counted(count, each) for each, count in counts.items() if count is not None]
        self._say(
            {"reloaded": True, "policy": policy.name, "policy_hash": policy.hash, **counts},
            ", ".join([f"reloaded: policy {policy.name} ({policy.hash[:12]})", *told]),
        )

    def _read_policy(self) -> Policy:
        policy = Policy.load(self._policy_file) if self._policy_file else policy_of(self._settings)
        return policy or Policy.default()

    def _read_keys(self) -> Keys | None:
        return None if self._keys_file is None else Keys.load_some(self._keys_file)

    def _read_models(self) -> dict[str, Any]:
        options: dict[str, Any] = models_of(self._settings, *self._model_options)
        return options

    def _attempt(self, read: Callable[[], T], mistakes: list[str]) -> T | None:
        try:
            return read()
        except Exception as error:
            failure = failure_of(error, self._settings)
            if failure is None:
                raise
            mistakes += failure.message.splitlines()
            return None

    def _say(self, record: dict[str, object], line: str) -> None:
        tell(json.dumps(record) if self._settings.json else one_line(line))


def _counted(count: int, kind: str) -> str:
    kind = {"keys": "API keys"}.get(kind, kind)
    return f"{count} {kind.removesuffix('s') if count == 1 else kind}"

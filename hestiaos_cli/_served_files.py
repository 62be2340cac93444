"""The files that say who may do what on a served platform. They are read at its start, and anew at SIGHUP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hestiaos_cli._failures import failure_of, one_line, tell
from hestiaos_cli._local_platform import policy_of
from hestiaos_cli._settings import Settings
from hestiaos_local import Keys, Platform, Policy

__all__ = ["ServedFiles"]

T = TypeVar("T")


class ServedFiles:
    """The policy, of its file or of the configuration, and the keys. Raises as `Policy.load` and `Keys.load`."""

    def __init__(self, settings: Settings, policy: Path | None, keys: Path | None) -> None:
        self._settings = settings
        self._policy_file = policy
        self._keys_file = keys
        self.policy = self._read_policy()
        self.keys = None if keys is None else Keys.load(keys)

    def reload(self, platform: Platform) -> None:
        """Have `platform` go by the files as they are now. With a mistake in one, all stays as it was. Says which."""
        mistakes: list[str] = []
        policy = self._attempt(self._read_policy, mistakes)
        keys = None if self._keys_file is None else self._attempt(lambda: Keys.load(self._keys_file or ""), mistakes)
        if mistakes or policy is None:
            for mistake in mistakes:
                self._say({"reloaded": False, "mistake": mistake}, f"not reloaded: {mistake}")
            return
        platform.reload(policy)
        if self.keys is not None and keys is not None:
            self.keys.replace(keys)
        count = None if self.keys is None else len(self.keys)
        count_text = "" if count is None else f", {count} API key{'' if count == 1 else 's'}"
        self._say(
            {"reloaded": True, "policy": policy.name, "policy_hash": policy.hash, "keys": count},
            f"reloaded: policy {policy.name} ({policy.hash[:12]}){count_text}",
        )

    def _read_policy(self) -> Policy:
        policy = Policy.load(self._policy_file) if self._policy_file else policy_of(self._settings)
        return policy or Policy.default()

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

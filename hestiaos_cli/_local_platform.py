"""Create the embedded platform for `--local` and `serve` from the configuration file, with its store.

```toml
policy = "policy.toml"        # a file of rules: a path relative to this file, or an absolute one
store = "hestia.sqlite3"      # the store of --local; by default in the user's data directory
```

It may have `models` and `agents` too, which `hestiaos_local.Configuration` reads.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import UsageError

from hestiaos_cli._failures import Failure
from hestiaos_cli._places import config_directory, data_directory
from hestiaos_cli._stores import Place, place, shown

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings
    from hestiaos_local import Configuration, Platform, Policy, Store

__all__ = [
    "config_path",
    "configured_agents",
    "models_of",
    "open_platform",
    "policy_of",
    "policy_path",
    "show_config",
    "store_path",
]

_KNOWN = ("policy", "store")
_OF_MODELS = ("version", "models", "agents")


def config_path(settings: Settings) -> Path:
    """Return the path of the configuration file, which may not exist unless it was named."""
    return config_directory() / "config.toml" if settings.config is None else Path(settings.config)


def policy_path(settings: Settings) -> Path | None:
    """Return the path of the configured policy. Raises `Failure` for a mistake in the configuration."""
    path = _places(settings).get("policy")
    return None if path is None else Path(path)


def _places(settings: Settings) -> dict[str, Place]:
    path, content = _content(settings)
    return {name: _place(path, name, value) for name, value in content.items() if name not in _OF_MODELS}


def show_config(settings: Settings) -> dict[str, Any]:
    """Return the contents of the file, with absolute paths. Raises `Failure` or `ConfigurationError` for mistakes."""
    path, content = _content(settings)
    _configuration(settings)
    return {name: value if name in _OF_MODELS else shown(_place(path, name, value)) for name, value in content.items()}


def configured_agents(settings: Settings) -> list[str]:
    """The ids of the agents in the file, as far as it has some; what else is in it is not looked at."""
    agents = _content(settings)[1].get("agents")
    tables = [each for each in agents if isinstance(each, dict)] if isinstance(agents, list) else []
    return [each["id"] for each in tables if isinstance(each.get("id"), str)]


def _content(settings: Settings) -> tuple[Path, dict[str, Any]]:
    path = config_path(settings)
    try:
        return path, tomllib.loads(path.read_text("utf-8-sig"))  # with a BOM, as some editors write it
    except FileNotFoundError:
        if settings.config is None:
            return path, {}
        raise
    except (ValueError, RecursionError) as error:  # invalid TOML or UTF-8, or too deeply nested
        raise Failure(f"{path} is not a TOML file: {error}") from None


def _place(file: Path, name: str, value: Any) -> Place:
    if name not in _KNOWN:
        raise Failure(f"{file}: {name!r} is not known there, only {', '.join(_KNOWN + _OF_MODELS)}")
    if not isinstance(value, str) or not value:
        raise Failure(f'{file}: {name} must be the path of a file, as in {name} = "FILE"')
    return place(value, file.parent) if name == "store" else file.parent / Path(value).expanduser()


def policy_of(settings: Settings) -> Policy | None:
    """Load the configured policy. Raises `PolicyError` for a mistake in it."""
    path = policy_path(settings)
    if path is None:
        return None
    from hestiaos_local import Policy

    return Policy.load(path)


def models_of(settings: Settings, url: str | None = None, model: str | None = None, key_env: str | None = None) -> Any:
    """Return the arguments of `Platform` for its executor and agents, which are empty for the echo.

    They are the models and agents of the configuration, or the model server at `url`, whose key is in the environment
    variable `key_env`. Raises `UsageError` for contradictory options, and `ConfigurationError` for mistakes in
    the file.
    """
    if url is None and (model is not None or key_env is not None):
        raise UsageError("--model and --model-key-env need --model-url: give that too")
    options: dict[str, Any] = {}
    if (configuration := _configuration(settings)) is not None:
        options["agents"] = configuration.agents
        if configuration.models and url is not None:
            raise UsageError(f"{config_path(settings)} has models: leave --model-url out, or them")
        if configuration.models:
            options["executor"] = configuration.executor()
    if url is not None:
        from hestiaos_local import RelayExecutor

        key = None
        if key_env is not None and not (key := os.environ.get(key_env)):
            raise UsageError(f"--model-key-env names the environment variable {key_env}, which is not set")
        options["executor"] = RelayExecutor(url, model=model, key=key)
    return options


def _configuration(settings: Settings) -> Configuration | None:
    """Load the models and agents of the file. Return `None` if it has none."""
    path, content = _content(settings)
    if not any(name in content for name in _OF_MODELS):
        return None
    from hestiaos_local import Configuration

    return Configuration.load(path)


def _store_of(settings: Settings) -> Place:
    """Return the store of `--local`."""
    return _places(settings).get("store") or data_directory() / "hestiaos.sqlite3"


def store_path(settings: Settings) -> Path:
    """Return the file of the store of `--local`. Raises `Failure` if the store is a database."""
    store = _store_of(settings)
    if isinstance(store, str):
        raise Failure(
            f"{config_path(settings)} names a database, {shown(store)}: 'hestiaos store copy' copies it, "
            "and its own programs do all else"
        )
    return store


def open_platform(settings: Settings, *, looks_only: bool = False) -> Platform:
    """Open the platform of `--local`, whose store is a file of the user. Raises `Failure`, `PolicyError`.

    With `looks_only`, no file is created.
    """
    from hestiaos_local import Platform, Store

    policy, models, place = policy_of(settings), models_of(settings), _store_of(settings)
    store = Store() if looks_only and _is_missing(place) else _open_store(place)
    return Platform(policy=policy, store=store, **models)


def _is_missing(store: Place) -> bool:
    return isinstance(store, Path) and not store.exists()


def _open_store(place: Place) -> Store:
    from hestiaos_local import Store, StoreError

    try:
        return Store(place)
    except StoreError as error:
        if isinstance(place, str):
            raise Failure(str(error)) from error
        raise Failure(f"{error}, or move it away: --local then makes a new one") from error

"""Configure a served platform by environment variables, as `hestiaos serve` does by options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from hestiaos_local._platform import Platform
from hestiaos_local.decisions import Keep
from hestiaos_local.governance import Policy
from hestiaos_local.keys import Keys, accepted_keys
from hestiaos_local.serving._access import Access
from hestiaos_local.serving._service import Service
from hestiaos_local.serving._shared_metrics import SharedMetrics
from hestiaos_local.storage import Retention, Store, is_url

__all__ = ["service_from_environment"]

T = TypeVar("T")


def service_from_environment(environ: Mapping[str, str]) -> Service:
    """Open the service that the variables `HESTIAOS_…` configure. An empty variable counts as not set.

    `CONFIG` is the path of the configuration file. The other variables correspond to options of `hestiaos serve`:
    `POLICY`, `STORE`, `MODEL_URL` with `MODEL` and `MODEL_KEY`, `KEYS` or `API_KEY`, `ALLOW_ORIGINS` (separated by
    spaces), `TOKEN_DELAY`, `HEARTBEAT`, `KEEP`, `KEEP_DAYS`, `KEEP_COUNT` and `KEEP_BYTES`. If
    `PROMETHEUS_MULTIPROC_DIR` names a directory, workers share their metrics in it.

    Raises `ValueError` for an invalid value, `PolicyError`, `ConfigurationError` and `StoreError`.
    """
    variables = {name: value for name, value in environ.items() if value}
    found = variables.get

    def number(name: str, kind: Callable[[str], T]) -> T | None:
        value = found(f"HESTIAOS_{name}")
        try:
            return None if value is None else kind(value)
        except ValueError:
            raise ValueError(f"HESTIAOS_{name} must be a number, not {value!r}") from None

    models, policy, store = _models(variables)
    retention = Retention.of_days(number("KEEP_DAYS", float), number("KEEP_COUNT", int), number("KEEP_BYTES", int))
    access = Access(_keys(variables), allow_origins=found("HESTIAOS_ALLOW_ORIGINS", "").split())
    policy, store = found("HESTIAOS_POLICY", policy), found("HESTIAOS_STORE", store)
    platform = Platform(
        policy=Policy.load(policy) if policy else None,
        store=Store(store) if store else None,
        retention=retention,
        keep=_keep(found("HESTIAOS_KEEP", "text")),
        **models,
    )
    delay, heartbeat = number("TOKEN_DELAY", float), number("HEARTBEAT", float)
    shared = SharedMetrics(found("PROMETHEUS_MULTIPROC_DIR", "")) if "PROMETHEUS_MULTIPROC_DIR" in variables else None
    return Service(platform, access, 0.02 if delay is None else delay, 15.0 if heartbeat is None else heartbeat, shared)


def _keys(variables: Mapping[str, str]) -> Keys | None:
    api_key, file = variables.get("HESTIAOS_API_KEY"), variables.get("HESTIAOS_KEYS")
    if api_key and file:
        raise ValueError("HESTIAOS_KEYS and HESTIAOS_API_KEY exclude each other: set one of them")
    return Keys.load_some(file) if file else accepted_keys(api_key)


def _keep(value: str) -> Keep:
    if value not in get_args(Keep):
        raise ValueError(f"HESTIAOS_KEEP must be one of {', '.join(get_args(Keep))}, not {value!r}")
    return cast(Keep, value)


def _models(variables: Mapping[str, str]) -> tuple[dict[str, Any], str | None, str | None]:
    """Return the arguments of `Platform` for its executors, and the configuration file's policy and store."""
    from hestiaos_local.execution import Configuration, RelayExecutor

    options: dict[str, Any] = {}
    policy = store = None
    if path := variables.get("HESTIAOS_CONFIG"):
        configuration = Configuration.load(path, variables)
        folder = Path(path).parent
        policy, store = (
            str(folder / Path(each).expanduser()) if each and not is_url(each) else each
            for each in (configuration.policy, configuration.store)
        )
        options["agents"] = configuration.agents
        if configuration.models:
            options["executor"] = configuration.executor()
    if url := variables.get("HESTIAOS_MODEL_URL"):
        if "executor" in options:
            raise ValueError(f"{path} has models: unset HESTIAOS_MODEL_URL, or remove them")
        options["executor"] = RelayExecutor(
            url, model=variables.get("HESTIAOS_MODEL"), key=variables.get("HESTIAOS_MODEL_KEY")
        )
    return options, policy, store

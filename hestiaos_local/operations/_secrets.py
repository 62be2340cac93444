"""The operations on secrets: get, set, delete and list."""

from __future__ import annotations

from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_local.storage import Storage
from hestiaos_proto import NotFound

__all__ = ["secret_operations"]


def secret_operations(storage: Storage) -> Answers:
    """Return the operations on the secrets of a storage."""

    def get_secret(arguments: Arguments, key: str | None) -> str:
        if (value := storage.secret(arguments["key"])) is None:
            raise _missing(arguments)
        return value

    def set_secret(arguments: Arguments, key: str | None) -> None:
        storage.set_secret(arguments["key"], arguments["value"], arguments["provider"])

    def delete_secret(arguments: Arguments, key: str | None) -> None:
        if not storage.delete_secret(arguments["key"]):
            raise _missing(arguments)

    def list_secrets(arguments: Arguments, key: str | None) -> list[str]:
        return storage.secret_names()

    return {
        "get_secret": get_secret,
        "set_secret": set_secret,
        "delete_secret": delete_secret,
        "list_secrets": list_secrets,
    }


def _missing(arguments: Arguments) -> NotFound:
    return NotFound(f"there is no secret {arguments['key']!r}")

"""Files that are named instead of a server: a policy, a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._failures import Failure
from hestiaos_cli._stores import Place, existing_place

if TYPE_CHECKING:
    from hestiaos import Client
    from hestiaos_cli._settings import Settings
    from hestiaos_local import Policy

__all__ = ["audit_records", "open_client_of", "policy_path", "read_policy", "read_text_of"]

_PAGE = 1000  # records of an audit in one request
_OF_SERVER = ("base_url", "api_key", "profile", "local")


def policy_path(settings: Settings, given: Path | None) -> Path:
    """Return the given file, else the one that the configuration names. Raises `Failure` if there is neither."""
    from hestiaos_cli._local_platform import config_path
    from hestiaos_cli._local_platform import policy_path as configured_path

    if given is not None:
        return given
    if (named := configured_path(settings)) is None:
        raise Failure(f"name a file: {config_path(settings)} has no policy", code="USAGE", status=2)
    return named


def read_policy(path: Path) -> tuple[Policy | None, dict[str, Any]]:
    """Return the policy of a file, or `None` if it has mistakes, and a report.

    The report's `mistakes`, and the `failures` of its tests, are lines with the position in the file.
    """
    from hestiaos_local import Policy, PolicyError

    report: dict[str, Any] = {"file": str(path), "name": None, "hash": None, "rules": 0, "limits": 0, "tests": 0}
    try:
        policy, failures = Policy.parse_and_test(read_text_of(path), str(path))
    except PolicyError as error:
        return None, {**report, "mistakes": list(error.mistakes), "failures": []}
    counts = {"rules": len(policy.rules), "limits": len(policy.limits), "tests": len(policy.tests)}
    found = {**report, "name": policy.name, "hash": policy.hash, **counts, "mistakes": [], "failures": list(failures)}
    return policy, found


def read_text_of(path: Path) -> str:
    """Read the text of a file. Raises `Failure` if it is not UTF-8."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8: byte {error.start + 1} is wrong") from None


def open_client_of(settings: Settings, *, policy: Path | None = None, store: Place | None = None) -> Client:
    """Create a client for a platform of these files only, or else for the server that the settings name.

    Raises `UsageError` if both a file and a server are named, `Failure` if a store does not exist.
    """
    option = "--policy" if policy is not None else "--store"
    if policy is None and store is None:
        from hestiaos_cli._clients import open_client

        return open_client(settings, looks_only=True)
    for name in _OF_SERVER:
        if name in settings.given:
            raise click.UsageError(f"{option} names a file, which needs no server: leave {settings.given[name]} out")
    from hestiaos_cli._local_client import LocalClient
    from hestiaos_local import Platform, Policy, Store

    opened = Store(None if store is None else existing_place(store))
    client: Any = LocalClient(Platform(policy=None if policy is None else Policy.load(policy), store=opened))
    return client  # type: ignore[no-any-return]  # it has the same methods


def audit_records(client: Client, after: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the records of an audit after this number, in order, fetching a page at a time.

    Raises `RemoteProtocolError` if a server answers with something else.
    """
    from hestiaos_cli._replies import AuditPage, AuditRecord
    from hestiaos_proto import RemoteProtocolError

    while True:
        page = AuditPage.from_wire(client.governance.export_audit(after, _PAGE))
        for each in page.records:
            AuditRecord.from_wire(each)
            yield each
        if page.next is None:
            return
        if page.next <= after:
            raise RemoteProtocolError(f"AuditPage: the field 'next' must be more than {after}, not {page.next}")
        after = page.next

"""`hestiaos approvals`: listed, approved and denied, with `--local` and against a served platform."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hestiaos_local import Platform, Policy
from tests.support.command_line import invoke
from tests.support.policies import DEPLOYS_NEED_APPROVAL

pytestmark = pytest.mark.usefixtures("home")
pytest.importorskip("re2")


@pytest.fixture(params=["served", "local"])
def where(request: pytest.FixtureRequest, home: Path) -> list[str]:
    """The options that name the platform."""
    if request.param == "served":
        serve: Callable[..., str] = request.getfixturevalue("serve_platform")
        return ["-u", serve(platform=Platform(policy=Policy.parse(DEPLOYS_NEED_APPROVAL, "p.toml")))]
    config = home / ".config/hestiaos/config.toml"
    config.parent.mkdir(parents=True)
    config.with_name("policy.toml").write_text(DEPLOYS_NEED_APPROVAL)
    config.write_text('policy = "policy.toml"\n')
    return ["--local"]


def test_what_is_approved_passes_once(where: list[str]) -> None:
    ended = invoke("run", "deploy it", *where)
    assert ended.status == 1
    listed = invoke("approvals", "list", *where).stdout.split()
    assert (listed[1], listed[4:]) == ("pending", ["deploys", "deploy", "it"])
    approval_id = listed[0]
    assert f" approvals approve {approval_id}" in ended.error
    assert invoke("approvals", "approve", approval_id, *where).stdout == "approved\n"
    assert invoke("run", "deploy it", *where).stdout == "processed: deploy it\n"
    assert invoke("run", "deploy it", *where).status == 1
    statuses = invoke("approvals", "list", *where, "-q", "status").stdout.split()
    assert statuses == ["pending", "used"]
    assert invoke("approvals", "list", *where, "--status", "used", "-q", "approval_id").stdout == f"{approval_id}\n"


def test_what_is_denied_does_not(where: list[str]) -> None:
    assert invoke("run", "deploy it", *where).status == 1
    approval_id = invoke("approvals", "list", *where, "-q", "approval_id").stdout.strip()
    assert invoke("approvals", "deny", approval_id, *where, "--json").json["status"] == "denied"
    assert invoke("run", "deploy it", *where).status == 1
    ended = invoke("approvals", "approve", approval_id, *where)
    assert ended.status == 1
    assert ended.error.startswith("[APPROVAL_DECIDED] the approval was denied already")


def test_who_asked_is_listed(where: list[str]) -> None:
    assert invoke("run", "deploy it", "--session-id", "monday", "--agent-id", "builder", *where).status == 1
    [row] = invoke("approvals", "list", *where).stdout.splitlines()
    assert row.endswith("  deploys  builder  monday  deploy it")


def test_one_that_is_not_there(where: list[str]) -> None:
    assert invoke("approvals", "approve", "x", *where).error.startswith("[NOT_FOUND] there is no approval 'x'")

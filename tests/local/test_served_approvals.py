"""Approvals at a served platform: who may decide, by its role, and what passes on each wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from hestiaos import AuthenticationFailed, Client, GovernanceBlock, HestiaError
from hestiaos_local import Key, Keys, Platform, Policy, Store
from hestiaos_local.keys import Role, hash_key
from tests.support.policies import DEPLOYS_NEED_APPROVAL

pytest.importorskip("re2")

ROLES: dict[str, tuple[Role, ...]] = {"worker": ("run",), "boss": ("approve",), "guest": ("read",)}


@pytest.fixture
def url(start: Callable[..., str], tmp_path: Path) -> str:
    platform = Platform(policy=Policy.parse(DEPLOYS_NEED_APPROVAL, "p.toml"), store=Store(tmp_path / "store.db"))
    return start(platform=platform, keys=Keys(Key(name, hash_key(name), roles) for name, roles in ROLES.items()))


@pytest.fixture
def worker(url: str) -> Iterator[Client]:
    with Client(url, "worker", retries=0) as client:
        yield client


@pytest.fixture
def boss(url: str) -> Iterator[Client]:
    with Client(url, "boss", retries=0) as client:
        yield client


def approve(boss: Client) -> None:
    [waiting] = boss.governance.approvals("pending")
    assert (waiting.extra["key"], waiting.input) == ("worker", "deploy it")
    assert boss.governance.approve(waiting.approval_id).by == "boss"


def test_a_run(worker: Client, boss: Client) -> None:
    with pytest.raises(GovernanceBlock) as caught:
        worker.run("deploy it")
    assert caught.value.details["approval"]["status"] == "pending"
    approve(boss)
    assert worker.run("deploy it").result == "processed: deploy it"
    with pytest.raises(GovernanceBlock):
        worker.run("deploy it")
    assert [each.status for each in boss.governance.approvals()] == ["pending", "used"]


def test_a_stream(worker: Client, boss: Client) -> None:
    with pytest.raises(GovernanceBlock):
        next(iter(worker.run_stream("deploy it")))
    approve(boss)
    assert "".join(event.text for event in worker.run_stream("deploy it")) == "processed: deploy it"


def test_a_completion_of_openais_api(url: str, boss: Client) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "deploy it"}], "seed": 1}
    headers = {"Authorization": "Bearer worker"}

    def complete(**changed: object) -> httpx.Response:
        return httpx.post(f"{url}/v1/chat/completions", json=body | changed, headers=headers)

    refused = complete()
    assert refused.status_code == 403
    assert refused.json()["error"]["details"]["approval"]["status"] == "pending"
    approve(boss)
    assert complete(seed=2).status_code == 403
    assert complete().json()["choices"][0]["message"]["content"] == "processed: deploy it"
    assert complete().status_code == 403


@pytest.mark.parametrize("name", ["worker", "guest"])
def test_who_may_not_decide(url: str, worker: Client, boss: Client, name: str) -> None:
    with pytest.raises(GovernanceBlock) as caught:
        worker.run("deploy it")
    approval_id = caught.value.details["approval"]["id"]
    with Client(url, name, retries=0) as client:
        with pytest.raises(AuthenticationFailed) as refused:
            client.governance.approve(approval_id)
        assert refused.value.code == "ROLE_MISSING"
    assert [each.status for each in boss.governance.approvals()] == ["pending"]


def test_what_an_operation_of_the_audit_needs(url: str, boss: Client) -> None:
    calls: list[Callable[[], object]] = [
        boss.governance.verify_audit,
        boss.governance.export_audit,
        boss.secrets.list,
        lambda: boss.governance.test_policy(DEPLOYS_NEED_APPROVAL),
    ]
    for call in calls:
        with pytest.raises(HestiaError, match="ROLE_MISSING"):
            call()
    assert json.loads(httpx.get(f"{url}/health").content)["status"] == "ok"

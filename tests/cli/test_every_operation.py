"""Every operation can be asked for at the prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hestiaos_local import Agent, Platform, Policy
from hestiaos_proto import ROUTES
from tests.support.command_line import invoke
from tests.support.policies import DEPLOYS_NEED_APPROVAL

pytestmark = pytest.mark.usefixtures("home")
pytest.importorskip("re2")

COMMANDS = (
    ("run", "x"),
    ("run", "x", "--stream"),
    ("run", "deploy it"),
    ("chat", "x", "--session-id", "s"),
    ("chat", "x", "--session-id", "s", "--stream"),
    ("sessions", "list"),
    ("sessions", "show", "s"),
    ("sessions", "delete", "s"),
    ("agents", "list"),
    ("agents", "run", "a", "x"),
    ("health",),
    ("system", "status"),
    ("system", "config"),
    ("system", "metrics"),
    ("secrets", "set", "k"),
    ("secrets", "get", "k"),
    ("secrets", "list"),
    ("secrets", "delete", "k"),
    ("trace", "{trace}"),
    ("trace", "list"),
    ("governance", "trace", "{trace}"),
    ("governance", "explain", "RUN"),
    ("governance", "status"),
    ("governance", "limits"),
    ("approvals", "list"),
    ("approvals", "approve", "{approval}"),
    ("policy", "show"),
    ("policy", "explain", "x"),
    ("policy", "test", "{policy}"),
    ("audit", "export"),
    ("audit", "verify"),
)


def test_every_operation_has_a_command(serve_platform: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(DEPLOYS_NEED_APPROVAL)
    facts = {"policy": str(tmp_path / "policy.toml")}
    policy = Policy.load(tmp_path / "policy.toml")
    with Platform(policy=policy, agents={"a": Agent(id="a")}) as platform:
        url = serve_platform(platform=platform)
        for command in COMMANDS:
            if "{trace}" in command and "trace" not in facts:
                [facts["trace"], *_] = invoke("trace", "list", "-q", "trace_id", "-u", url).stdout.split()
            if "{approval}" in command:
                facts["approval"] = invoke("approvals", "list", "-q", "approval_id", "-u", url).stdout.strip()
            ended = invoke(*(word.format(**facts) for word in command), "-u", url, stdin=b"v")
            assert ended.status == (1 if "deploy it" in command else 0), (command, ended)
        asked = {operation for operation, _ in platform.measurements.counts().requests}
    assert ROUTES.keys() <= asked

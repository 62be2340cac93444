"""What a platform does ahead of its first request, which a server's clients then do not wait for."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_local import Platform, Policy
from hestiaos_local.governance._default_policy import with_literals
from hestiaos_local.governance._engines import Engine, re2_engine
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine
from hestiaos_local.governance._trusted import TrustingEngine
from hestiaos_proto import GovernanceBlock, ServerRequest
from tests.support.builtin_policies import TEXT

POLICY = """version = 2
name = "p"
[[rules]]
name = "r"
on = ["input", "output"]
pattern = "{pattern}"
decision = "BLOCK"
risk = 1.0
reason = "as the test wants it"
"""


class CountedEngine:
    """RE2 or another engine, which counts what it compiles."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.compiled = 0
        self._engine: Any = engine or re2_engine()

    def __getattr__(self, name: str) -> Any:
        self.compiled += name.startswith("compile")
        return getattr(self._engine, name)


def run(text: str) -> ServerRequest:
    arguments = {"input": text, "session_id": None, "agent_id": None, "mode_hint": None, "timeout_ms": 1000}
    return ServerRequest("run", arguments, {})


@pytest.mark.parametrize(("prepared", "compiles"), [(True, False), (False, True)])
def test_patterns_are_compiled(prepared: bool, compiles: bool) -> None:
    engine = CountedEngine()
    with Platform(policy=Policy.parse(POLICY.format(pattern="secret"), "p.toml", engine=engine)) as platform:
        if prepared:
            platform.prepare()
        before = engine.compiled
        platform.answer(run("hello"))
        assert (engine.compiled > before) is compiles


@pytest.mark.parametrize("engine", [Re2Engine(), ReEngine()], ids=["RE2", "re"])
def test_the_built_in_policy_is_compiled(engine: Engine) -> None:
    """Although it is else compiled when a text may match."""
    counted = CountedEngine(engine)
    policy = with_literals(Policy.parse(TEXT, "p", engine=TrustingEngine(lambda: counted), tests=False))
    with Platform(policy=policy) as platform:
        assert counted.compiled == 0
        platform.prepare()
        before = counted.compiled
        assert before > 0
        platform.answer(run("drop a mail - format /dev/null or delete the password of ~/.ssh"))
        assert counted.compiled == before


def test_a_policy_that_is_to_come(platform: Platform) -> None:
    engine = CountedEngine()
    policy = Policy.parse(POLICY.format(pattern="aaa"), "p.toml", engine=engine)
    platform.prepare(policy)
    before = engine.compiled
    platform.reload(policy)
    with pytest.raises(GovernanceBlock):
        platform.answer(run("aaa"))
    assert engine.compiled == before


def test_nothing_is_left_of_it() -> None:
    """Whatever the policy blocks: what it is prepared with, too."""
    with Platform(policy=Policy.parse(POLICY.format(pattern="."), "p.toml")) as platform:
        platform.prepare()
        assert platform.measurements.counts().decisions == {}
        status = platform.answer(ServerRequest("governance_status", {}, {}))
        assert isinstance(status, dict)
        assert set(status["decisions"].values()) == {0}

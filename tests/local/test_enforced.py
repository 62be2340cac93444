"""A policy whose parts the platform does not carry out is refused, with a line for each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hestiaos import Client, GovernanceBlock
from hestiaos_local import LocalTransport, Platform, Policy, PolicyError
from hestiaos_local.execution import Output, ToolCall, Work, function_executor

RULE = 'version = 2\nname = "p"\n[[rules]]\nname = "r"\nreason = "because"\nrisk = 0.5\n'
ON_INPUT = RULE + 'on = "input"\npattern = "x"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ON_INPUT + 'decision = "BLOCK"\napproval = true\n', "does not take approvals yet"),
    ],
)
def test_a_part_that_is_not_carried_out(text: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        Platform(policy=Policy.parse(text, "p.toml"))


def test_rules_on_inputs_and_commands() -> None:
    with Platform(policy=Policy.parse(ON_INPUT + 'decision = "BLOCK"\n', "p.toml")):
        pass


def test_a_call_of_a_tool_is_judged() -> None:
    async def model(work: Work) -> AsyncIterator[Output]:
        yield ToolCall("1", "shell", '{"command": "rm -rf /"}')

    with Platform(executor=function_executor(model)) as platform, Client(transport=LocalTransport(platform)) as client:
        with pytest.raises(GovernanceBlock) as caught:
            client.run("tidy up")
        assert caught.value.details["rule"] == "destructive-shell"
        assert client.governance.trace(caught.value.trace_id)["outcome"] == "blocked"

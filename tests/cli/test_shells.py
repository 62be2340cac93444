"""bash and zsh as people use them: completion with the tab key, and Ctrl-C in a loop."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import pytest

from tests.support.broad import BROAD
from tests.support.command_line import PROGRAM

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

from tests.support.terminals import Terminal

pytestmark = [BROAD, pytest.mark.usefixtures("home")]

PROMPT = "ready> "
SHELLS = {
    "bash": (["bash", "--norc", "-i"], 'eval "$(hestiaos completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit && compinit -u && eval "$(hestiaos completion zsh)"'),
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """An interactive shell with the completion of its script."""
    command, setup = SHELLS[request.param]
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {command[0]}")
    environ = os.environ | {
        "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
        "PS1": PROMPT,
        "TERM": "dumb",  # so that a shell draws nothing over
        "INPUTRC": os.devnull,
    }
    with Terminal(command, env=environ, columns=200) as shell:
        shell.expect(PROMPT)
        shell.type(f"{setup}; PS1='{PROMPT}' PROMPT='{PROMPT}'; echo se''t\n")
        shell.expect("set")
        shell.expect(PROMPT)
        yield shell
        shell.type("\x15exit\n")


def test_the_tab_key(shell: Terminal) -> None:
    for typed, completed in (
        ("hestiaos sec", "hestiaos secrets "),
        ("hestiaos governance exp", "hestiaos governance explain "),
        ("hestiaos run --mode-hint dee", "hestiaos run --mode-hint deep "),
    ):
        shell.type(f"{typed}\t")
        shell.expect(completed)
        shell.type("\x15")  # takes the line away


def test_ctrl_c_ends_the_loop_that_was_typed(shell: Terminal) -> None:
    shell.type("for i in 1 2 3; do hestiaos --local system status --watch 60; echo nex''t; done; echo afte''r\n")
    shell.expect("storage: true")
    shell.type("\x03")
    shell.expect(PROMPT)
    shell.type("echo statu''s $?\n")
    assert "next" not in shell.expect("status 130")
    assert "after" not in shell.shown

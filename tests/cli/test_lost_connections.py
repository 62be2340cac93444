"""A stream on the command line whose connection is lost."""

from __future__ import annotations

import pytest

from hestiaos_local import Platform
from hestiaos_local.testing._serving import serving
from tests.support.asked_platforms import Model
from tests.support.cutting_proxy import Cut, CuttingProxy
from tests.support.programs import Program

pytestmark = pytest.mark.usefixtures("home")


def test_a_stream_goes_on_where_its_connection_was_lost(program: Program) -> None:
    """Nothing is executed twice, and nothing is told of it."""
    model = Model("abcdef")
    with (
        Platform(executor=model.executor) as platform,
        serving(platform) as url,
        CuttingProxy(url, Cut(rb'"c"', 1)) as proxy,
    ):
        done = program.run("--base-url", proxy.url, "--retries", "3", "run", "--stream", "go")
        assert (done.status, done.stdout) == (0, "abcdef\n"), done.stderr
        assert len(proxy.requests) == 2
    assert len(model.works) == 1


def test_without_retries_it_is_interrupted(program: Program) -> None:
    """The run ends with it, as it does by Ctrl-C."""
    with (
        Platform() as platform,
        serving(platform) as url,
        CuttingProxy(url, Cut(rb'"processed: "', 1)) as proxy,
    ):
        done = program.run("--base-url", proxy.url, "run", "--stream", "go")
        assert (done.status, len(proxy.requests)) == (1, 1)
        assert "prefer" not in proxy.requests[0].decode().lower()
    assert "STREAM_INTERRUPTED" in done.stderr

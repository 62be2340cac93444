"""The pytest plugin, in test sessions of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from hestiaos import Cassette, Client
from hestiaos_local.testing import ScriptedPlatform
from tests.support.broad import BROAD

pytest_plugins = ["pytester"]

LOADED = (
    "[name for name in ('httpx', 'httpx2', 'anyio', 'trio', 'hestiaos_proto', 'hestiaos_local') if name in sys.modules]"
)


@pytest.fixture(autouse=True)
def alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other plugin of those that are installed: anyio's imports anyio, hypothesis takes seconds."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = -p hestiaos\nfilterwarnings = error")  # by its entry point


def test_pytest_finds_it() -> None:
    [found] = {each for each in entry_points(group="pytest11") if each.value == "hestiaos.pytest_plugin"}
    assert found.name == "hestiaos"


def test_importing_it_loads_nothing() -> None:
    script = f"import sys, hestiaos.pytest_plugin; print({LOADED})"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_a_session_that_does_not_use_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"import sys\n\ndef test_nothing():\n    assert {LOADED} == []\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_tests_of_every_kind(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio, trio
        from hestiaos import AsyncClient, AsyncioClient, Client, TrioClient

        def test_sync(hestiaos_platform):
            hestiaos_platform.say("a report")
            with Client(transport=hestiaos_platform.transport) as client:
                assert client.run("hello").result == "a report"

        async def ask(client):
            async with client:
                return (await client.run_async("hello")).result

        def test_asyncio(hestiaos_platform):
            hestiaos_platform.say("a report", times=3)
            for client in (AsyncClient(hestiaos_platform.url), AsyncioClient(hestiaos_platform.url),
                           AsyncioClient(transport=hestiaos_platform.transport)):
                assert asyncio.run(ask(client)) == "a report"

        def test_trio(hestiaos_platform):
            hestiaos_platform.say("a report")
            assert trio.run(ask, TrioClient(hestiaos_platform.url)) == "a report"
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


@BROAD
def test_a_reply_that_is_left(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(hestiaos_platform):\n    hestiaos_platform.say('a report')\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["the reply say('a report') is not used up (used 0 of 1 time); the requests were: none", "ERROR *"],
        consecutive=False,
    )
    assert "Traceback" not in result.stdout.str()


@BROAD
def test_a_request_without_a_reply_that_the_code_under_test_swallows(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from hestiaos import Client, HestiaError

        def test_it(hestiaos_platform):
            with Client(transport=hestiaos_platform.transport) as client:
                try:
                    client.run("hello")
                except HestiaError:
                    pass
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["no reply is scripted for the input 'hello': *the replies are: none"])


@BROAD
def test_the_fixture_is_listed_with_what_it_does(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures")
    result.stdout.fnmatch_lines(["hestiaos_platform -- *", "*whose replies the test scripts*"])


ASKS = """
    import os
    import pytest
    from hestiaos import Client

    def test_it(hestiaos_cassette):
        with Client(os.environ.get("TEST_URL"), cassette=hestiaos_cassette) as client:
            assert client.run("hello").result == "processed: hello"
            events = [event.type for event in client.run_stream("hello")]
            assert events == ["start", "token", "token", "final", "done"]

    class TestIt:
        @pytest.mark.parametrize("text", ["a/b", "a_b"])
        def test_it(self, hestiaos_cassette, text):
            with Client(os.environ.get("TEST_URL"), cassette=hestiaos_cassette) as client:
                client.run(text)

    def test_failing(hestiaos_cassette):
        with Client(os.environ.get("TEST_URL"), cassette=hestiaos_cassette) as client:
            assert client.run("hello").result == "something else"
"""


@BROAD
def test_what_is_recorded_needs_no_server_any_more(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a cassette of its own, also by class and parameters; one that fails leaves that as it was."""
    pytester.makepyfile(test_reports=ASKS)
    with ScriptedPlatform() as platform, monkeypatch.context() as environment:
        platform.echo()
        environment.setenv("TEST_URL", platform.url)
        pytester.runpytest_subprocess("--hestiaos-record").assert_outcomes(passed=3, failed=1)
    recorded = [path.relative_to(pytester.path).as_posix() for path in pytester.path.rglob("*.jsonl")]
    assert "cassettes/test_reports/test_it.jsonl" in recorded
    assert len(recorded) == 3
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["there is no cassette *test_failing.jsonl: record it with pytest --hestiaos-record"])


@BROAD
def test_what_does_not_fit_the_cassette_fails_the_test(pytester: pytest.Pytester) -> None:
    """Also where the code under test swallows the refusal, and where it asks for less than was recorded."""
    pytester.makepyfile(
        test_other="""
        from hestiaos import Client, HestiaError

        def test_it(hestiaos_cassette):
            with Client(cassette=hestiaos_cassette) as client:
                try:
                    client.run("hallo")
                except HestiaError:
                    pass
        """
    )
    with ScriptedPlatform() as platform:
        platform.echo()
        with Cassette(pytester.path / "cassettes" / "test_other" / "test_it.jsonl", record=True) as cassette:
            Client(transport=platform.transport, cassette=cassette).run("hello")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["test_it.jsonl has nothing for POST /api/v1/run*hallo*the most similar*hello*"])
    result.stdout.fnmatch_lines(["test_it.jsonl has exchanges that were not requested: POST /api/v1/run*"])

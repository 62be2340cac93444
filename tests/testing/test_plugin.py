"""The pytest plugin, in test sessions of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

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


def test_a_reply_that_is_left(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(hestiaos_platform):\n    hestiaos_platform.say('a report')\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["the reply say('a report') is left (used 0 of 1 time); the requests were: none", "ERROR *"], consecutive=False
    )
    assert "Traceback" not in result.stdout.str()


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


def test_the_fixture_is_listed_with_what_it_does(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures")
    result.stdout.fnmatch_lines(["hestiaos_platform -- *", "*answers what the test tells it to*"])

"""The pytest plugin: the fixtures `hestiaos_platform` and `hestiaos_cassette`, and the option `--hestiaos-record`.

It imports the SDK only when a test uses a fixture.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hestiaos.cassettes import Cassette
    from hestiaos_local.testing import ScriptedPlatform

__all__ = ["hestiaos_cassette", "hestiaos_platform", "pytest_addoption", "pytest_runtest_makereport"]

_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--hestiaos-record`."""
    parser.getgroup("hestiaos").addoption(
        "--hestiaos-record",
        action="store_true",
        help="record the cassettes of hestiaos_cassette again, from the servers that the clients of the tests name",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record whether the test has passed, for `hestiaos_cassette`."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture
def hestiaos_platform() -> Iterator[ScriptedPlatform]:
    """A HestiaOS platform whose replies the test scripts: `hestiaos_platform.say("a report")`.

    Clients reach it by `transport=hestiaos_platform.transport`, or over a socket by `hestiaos_platform.url`. The test
    fails if a request had no reply, or if a reply is not used up.
    """
    from hestiaos_local.testing import ScriptedPlatform

    platform = ScriptedPlatform()
    try:
        yield platform
    finally:
        platform.close()
    if problems := platform.problems():
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def hestiaos_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """Recorded traffic of this test, for `cassette=` of any client: `Client(cassette=hestiaos_cassette)`.

    It is replayed, at once and without a network, from `cassettes/MODULE/TEST.jsonl` next to the test's module. With
    `--hestiaos-record` it is recorded there if the test passes. The test fails if a request was not recorded,
    or if something that was recorded was not used.
    """
    from hestiaos.cassettes import Cassette

    path = _path(request.node)
    record = bool(request.config.getoption("--hestiaos-record"))
    if not record and not path.exists():
        pytest.fail(f"there is no cassette {path}: record it with pytest --hestiaos-record", pytrace=False)
    cassette = Cassette(path, record=record)
    yield cassette
    if record and request.node.stash.get(_PASSED, False):
        cassette.close()
    if problems := cassette.problems():
        pytest.fail("\n".join(problems), pytrace=False)


def _path(item: pytest.Item) -> Path:
    """Return the path of a test's cassette, whose name has the class and parameters of the test."""
    name = ".".join(item.nodeid.split("::")[1:])
    safe = re.sub(r"[^\w.-]", "_", name)
    if name != safe:  # two different names may have become equal
        from hashlib import sha256

        safe = f"{safe}-{sha256(name.encode()).hexdigest()[:8]}"
    return item.path.parent / "cassettes" / item.path.stem / f"{safe}.jsonl"

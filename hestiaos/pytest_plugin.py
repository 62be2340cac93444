"""The pytest plugin: the fixture `hestiaos_platform`. It loads nothing of the SDK before a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hestiaos_local.testing import ScriptedPlatform

__all__ = ["hestiaos_platform"]


@pytest.fixture
def hestiaos_platform() -> Iterator[ScriptedPlatform]:
    """A HestiaOS platform that answers what the test tells it to: `hestiaos_platform.say("a report")`.

    Clients reach it by `transport=hestiaos_platform.transport`, or over a socket by `hestiaos_platform.url`. The test
    fails where a request had no reply, and where a reply is left.
    """
    from hestiaos_local.testing import ScriptedPlatform

    platform = ScriptedPlatform()
    try:
        yield platform
    finally:
        platform.close()
    if problems := platform.problems():
        pytest.fail("\n".join(problems), pytrace=False)

"""What the tests of scripted platforms may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hestiaos_local.testing import ScriptedPlatform


@pytest.fixture
def platform(server_faults: list[str]) -> Iterator[ScriptedPlatform]:
    """A scripted platform, all of whose replies are to be asked for."""
    with ScriptedPlatform() as platform:
        yield platform

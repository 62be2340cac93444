"""`fault` names the row of `faults.md` that a scenario walks, and runs it over the bindings in which it can exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.bindings import REMOTE, params
from tests.support.sessions import Session


def fault(row: str, bindings: tuple[type[Session], ...] = REMOTE) -> Callable[[Any], Any]:
    """`row` is the first cell of a row, as it stands there."""

    def decorate(scenario: Any) -> Any:
        return pytest.mark.fault(row)(pytest.mark.parametrize("binding", params(bindings))(scenario))

    return decorate

"""A storage of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hestiaos_local.storage import Storage
from tests.support.storages import STORAGES


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    with STORAGES[request.param](tmp_path) as opener:
        yield opener()

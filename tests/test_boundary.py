"""What is public: the names in a package's `__all__`, and no others. The import contracts hold the rest."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

needs_psycopg = pytest.mark.skipif(find_spec("psycopg") is None, reason="psycopg is not installed")
PACKAGES = [
    "hestiaos",
    "hestiaos.batches",
    "hestiaos.cassettes",
    "hestiaos_asyncio",
    "hestiaos_cli",
    "hestiaos_httpx",
    "hestiaos_local",
    "hestiaos_local.decisions",
    "hestiaos_local.execution",
    "hestiaos_local.flow",
    "hestiaos_local.governance",
    "hestiaos_local.keys",
    "hestiaos_local.openai",
    "hestiaos_local.operations",
    "hestiaos_local.serving",
    "hestiaos_local.storage",
    pytest.param("hestiaos_local.storage.postgres", marks=needs_psycopg),
    "hestiaos_local.testing",
    "hestiaos_local.toml",
    "hestiaos_proto",
    "hestiaos_trio",
]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_shows_its_public_names(name: str) -> None:
    package = import_module(name)
    assert dir(package) == sorted(package.__all__)
    assert len(set(package.__all__)) == len(package.__all__)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_public_name_is_there(name: str) -> None:
    package = import_module(name)
    for each in package.__all__:
        assert getattr(package, each) is getattr(package, each)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing

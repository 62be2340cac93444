"""What is public: the names in a package's `__all__`, and no others. The import contracts hold the rest."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

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


OPTIONAL = ["cryptography", "keyring", "msgspec", "prometheus_client", "psycopg", "psycopg_pool", "re2", "trio"]
NEED_AN_EXTRA = {"hestiaos_local.storage.postgres", "hestiaos_trio"}
IMPORT_EVERYTHING = """
import sys

packages, missing = (argument.split() for argument in sys.argv[1:])
sys.modules.update(dict.fromkeys(missing))
for package in packages:
    names = {}
    exec(f"from {package} import *", names)
    assert set(sys.modules[package].__all__) <= set(names)
assert sys.modules["hestiaos"].__all__ == dir(sys.modules["hestiaos"])
assert "TrioClient" not in sys.modules["hestiaos"].__all__
"""


def test_everything_is_imported_without_the_optional_packages() -> None:
    packages = [name for name in PACKAGES if isinstance(name, str) and name not in NEED_AN_EXTRA]
    command = [sys.executable, "-c", IMPORT_EVERYTHING, " ".join(packages), " ".join(OPTIONAL)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_every_optional_package_is_named() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = ("trio", "speed", "platform", "postgres", "keyring")
    distributions = {re.split(r"[^\w-]", each)[0] for name in extras for each in project["optional-dependencies"][name]}
    assert {name.replace("google-", "").replace("-", "_") for name in distributions} == set(OPTIONAL)


@pytest.mark.parametrize("name", ["ConfigurationError", "PolicyError", "ServeError", "StoreError"])
def test_an_exception_has_the_name_by_which_it_is_imported(name: str) -> None:
    error = getattr(import_module("hestiaos_local"), name)
    assert f"{error.__module__}.{error.__qualname__}" == f"hestiaos_local.{name}"
    assert type(pickle.loads(pickle.dumps(error("x")))) is error

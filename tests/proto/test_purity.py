"""The core does no I/O, and says so by what it imports: in a new interpreter, beyond what attrs and h11 load."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest

import hestiaos_proto
from hestiaos.contract_guard import ALLOWED_IN_CORE

ROOT = pathlib.Path(hestiaos_proto.__file__).parent

# What would make it impure: a socket, an event loop, a thread, a process, a clock, random numbers, a transport.
IMPURE = {
    *(
        "socket",
        "ssl",
        "select",
        "selectors",
        "asyncio",
        "threading",
        "concurrent.futures",
        "multiprocessing",
        "subprocess",
    ),
    *(
        "time",
        "random",
        "secrets",
        "email",
        "logging",
        "http.client",
        "urllib.request",
        "httpx",
        "anyio",
        "trio",
        "click",
    ),
}

# What our own files may import; a name stands for all below it.
ALLOWED = ALLOWED_IN_CORE | {"hestiaos_proto"}


def loaded_by(statement: str) -> set[str]:
    """The modules that a new interpreter holds after `statement`."""
    code = f"import sys; sys.path.insert(0, {str(ROOT.parent)!r}); {statement}; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize("fast", [True, False], ids=["as installed", "without msgspec"])
def test_importing_the_core_loads_nothing_impure_beyond_what_attrs_and_h11_load(fast: bool) -> None:
    setup = "pass" if fast else "sys.modules['msgspec'] = None"
    ours = loaded_by(f"{setup}; from hestiaos_proto import *") - loaded_by(f"{setup}; import attrs, h11")
    assert "hestiaos_proto._connection.server" in ours
    assert ours & IMPURE == set()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_of_the_core_imports_only_what_it_may(path: pathlib.Path) -> None:
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = []
    for node in tree:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.append(node.module or "")
    assert [name for name in names if not any(f"{name}.".startswith(f"{allowed}.") for allowed in ALLOWED)] == []


def test_all_is_what_the_package_has() -> None:
    assert all(hasattr(hestiaos_proto, name) for name in hestiaos_proto.__all__)
    assert len(set(hestiaos_proto.__all__)) == len(hestiaos_proto.__all__)

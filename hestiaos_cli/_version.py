"""The version, without importing `hestiaos_proto`, which takes longer than everything else in `--version`."""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

__all__ = ["version"]


def version() -> str:
    """Return the version of this distribution."""
    package = find_spec("hestiaos_proto")
    assert package is not None, "it is part of the distribution"
    spec = PathFinder.find_spec("hestiaos_proto._version", package.submodule_search_locations)
    assert spec is not None, "so is this"
    assert spec.loader is not None, "and it is a module"
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    number: str = module.__version__
    return number

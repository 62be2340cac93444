"""`python -m hestiaos.contract_guard`: checks that the core is pure and that imports run downwards only.

It reads the files, each `import` wherever it is, and runs nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ALLOWED_IN_CORE", "FORBIDDEN_IN_CORE", "LAYERS", "main", "violations"]

ALLOWED_IN_CORE = frozenset(
    {
        "__future__",
        "abc",
        "attrs",
        "collections",
        "collections.abc",
        "contextlib",
        "datetime",
        "enum",
        "functools",
        "h11",
        "hashlib",
        "http",
        "ipaddress",
        "itertools",
        "json",
    }
    | {
        "math",
        "msgspec",
        "msgspec.json",
        "operator",
        "pickle",
        "re",
        "types",
        "typing",
        "urllib.parse",
        "weakref",
        "zlib",
    }
)
"""The modules that `hestiaos_proto` may import besides itself: none does I/O or runs an event loop."""

FORBIDDEN_IN_CORE = frozenset({"__import__", "eval", "exec", "input", "now", "open", "print", "today", "utcnow"})
"""The functions and methods that it must not call: they do I/O or read a clock without an import."""

LAYERS = {
    "hestiaos_proto": frozenset[str](),
    "hestiaos_httpx": frozenset({"hestiaos_proto"}),
    "hestiaos_trio": frozenset({"hestiaos_proto"}),
    "hestiaos_asyncio": frozenset({"hestiaos_proto"}),
    "hestiaos_local": frozenset({"hestiaos_proto", "hestiaos_httpx"}),
    "hestiaos": frozenset({"hestiaos_proto", "hestiaos_httpx", "hestiaos_trio", "hestiaos_asyncio", "hestiaos_local"}),
    "hestiaos_cli": frozenset({"hestiaos_proto", "hestiaos_local", "hestiaos"}),
}
"""Our own packages that each of them may import."""


def violations(root: Path) -> Iterator[str]:
    """Yield the violations in the packages in `root`: one line each, with file and line number."""
    for package, below in LAYERS.items():
        for path in sorted((root / package).rglob("*.py")):
            tree = ast.parse(path.read_bytes(), str(path))
            place = path.relative_to(root)
            for line, name in _imports(tree):
                top = name.partition(".")[0]
                if top in LAYERS and top != package and top not in below:
                    yield f"{place}:{line}: {package} may not import {name}"
                elif package == "hestiaos_proto" and top != package and name not in ALLOWED_IN_CORE:
                    yield f"{place}:{line}: the core may not import {name}"
            if package == "hestiaos_proto":
                yield from (f"{place}:{line}: the core may not call {name}" for line, name in _calls(tree))


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield node.lineno, node.module


def _calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            if name in FORBIDDEN_IN_CORE:
                yield node.lineno, name


def main(root: Path | None = None) -> int:
    """Print the violations; the exit status is 1 if there are any."""
    root = root or Path(__file__).resolve().parent.parent
    missing = [package for package in LAYERS if not (root / package / "__init__.py").is_file()]
    if missing:
        print(f"contract guard: {', '.join(missing)} not found in {root}", file=sys.stderr)
        return 1
    found = list(violations(root))
    for line in found:
        print(line)
    files = sum(1 for package in LAYERS for _ in (root / package).rglob("*.py"))
    print(
        f"contract guard: {files} files, {len(found)} violations" if found else f"contract guard: {files} files, pure"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))

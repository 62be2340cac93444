"""How Sphinx reads the code: its docstrings are Markdown, and a class is documented where users find it."""

from __future__ import annotations

import inspect
import re
from typing import Any

import hestiaos
import hestiaos_local.storage
import hestiaos_proto

_FENCE = re.compile(r"^( *)```(\w*)$")
_CODE = re.compile(r"(?<![`:])`([^`]+)`(?!`)(?=(\w)?)")


def from_markdown(app: Any, what: str, name: str, value: object, options: Any, lines: list[str]) -> None:
    """Turn a docstring's fenced blocks and `code` into reStructuredText, in place; public names become links."""
    text, fenced = [], False
    for line in lines:
        if (fence := _FENCE.match(line)) is not None:
            fenced = not fenced
            text.extend(["", f"{fence[1]}.. code-block:: {fence[2] or 'text'}", ""] if fenced else [""])
        else:
            text.append(f"    {line}" if fenced else _CODE.sub(_reference, line))
    lines[:] = text


def _reference(found: re.Match[str]) -> str:
    code, end = found[1], "\\ " if found[2] else ""  # a letter that follows would not end the markup
    home = _public_home(code)
    return f"``{code}``{end}" if home is None else f":py:obj:`~{home}.{code}`{end}"


def _public_home(name: str) -> str | None:
    for package in (hestiaos, hestiaos_proto, hestiaos_local.storage):
        if name in package.__all__ and not inspect.ismodule(getattr(package, name)):
            return package.__name__
    return None


def link_public_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """A link to a class by the private module that defines it leads to where the class is documented."""
    module, _, name = node.get("reftarget", "").rpartition(".")
    home = _public_home(name)
    if node.get("refdomain") != "py" or home is None or not module.startswith("hestiaos"):
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", f"{home}.{name}", node, content)

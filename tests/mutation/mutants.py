"""The mutants of one module: each is its source with one small fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import libcst as cst
from attrs import frozen
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators


@frozen
class Mutant:
    """`line` is where the fault is, `lines` are the first and last of the function around it, or `line` again.

    `function` is that function's qualified name where the fault is in its body.
    """

    line: int
    lines: tuple[int, int]
    function: str | None
    source: str
    diff: str

    def covers(self, lines: Iterable[int]) -> bool:
        """Whether one of these lines is in the function."""
        return any(self.lines[0] <= line <= self.lines[1] for line in lines)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant that compiles and differs from the module and from those before it."""
    wrapper = MetadataWrapper(cst.parse_module(path.read_text("utf-8")))
    module = wrapper.module
    places = wrapper.resolve(PositionProvider)
    head = "".join(module.code_for_node(line) for line in module.header)
    parts = [module.code_for_node(statement) for statement in module.body]
    for number, statement in enumerate(module.body):
        visitor = _Visitor()
        statement.visit(visitor)
        seen = {parts[number]}
        for node, mutated, name, function in visitor.found:
            part = module.code_for_node(cst.ensure_type(statement.deep_replace(node, mutated), cst.CSTNode))
            source = head + "".join([*parts[:number], part, *parts[number + 1 :]])
            if part not in seen and _compiles(source):
                seen.add(part)
                place, around = places[node], places[function or node]
                above = len(function.decorators) if function else 0
                lines = around.start.line - above, around.end.line
                yield Mutant(place.start.line, lines, name, source, _diff(parts[number], part))


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


class _Visitor(cst.CSTVisitor):
    """Collects what mutmut's operators make of each node.

    Left out are annotations, decorators, protocols and names for types, which the type checkers hold, `__all__`, the
    words of a message, and what means the same: `None` in the place of `False`, and the name of a codec in capitals.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, str | None, cst.FunctionDef | None]] = []
        self._words: set[cst.CSTNode] = set()
        self._around: list[cst.CSTNode] = []  # the classes and functions around a node, and the bodies of those

    def on_visit(self, node: cst.CSTNode) -> bool:
        if (
            isinstance(node, (cst.Annotation, cst.Decorator, cst.ImportFrom))
            or _says_nothing(node)
            or _is_protocol(node)
        ):
            return False
        if isinstance(node, cst.Assert) and node.msg is not None:
            self._words.add(node.msg)
        if isinstance(node, cst.Call) and _name_of(node.func) in _MESSAGES:
            self._words.update(arg.value for arg in node.args)
        if node not in self._words or not isinstance(node, cst.BaseString):
            name, function = self._place()
            for kind, operator in mutation_operators:
                if isinstance(node, kind):
                    self.found += [
                        (node, mutated, name, function) for mutated in operator(node) if not _is_same(node, mutated)
                    ]
        if isinstance(node, (cst.ClassDef, cst.FunctionDef, cst.IndentedBlock)):
            self._around.append(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self._around and self._around[-1] is original_node:
            self._around.pop()

    def _place(self) -> tuple[str | None, cst.FunctionDef | None]:
        """The outermost function around, and its qualified name from inside its body."""
        names: list[str] = []
        for number, node in enumerate(self._around):
            if isinstance(node, (cst.ClassDef, cst.FunctionDef)):
                names.append(node.name.value)
            if isinstance(node, cst.FunctionDef):
                return (".".join(names) if number + 1 < len(self._around) else None), node
        return None, None


_CODECS = frozenset({'"ascii"', '"latin-1"', '"utf-8"'})

_NAMES = frozenset({"__all__", "BodySchema", "ModeHint", "Reply", "CallFlow", "Span"})

_MESSAGES = frozenset(
    {
        "ConnectionLost",
        "HestiaError",
        "InvalidInput",
        "LocalProtocolError",
        "NotFound",
        "RemoteProtocolError",
        "ServerError",
        "StatusError",
        "TimedOut",
        "TypeError",
        "ValueError",
    }
)
"""The exceptions whose message's words are left as they are."""


def _is_same(node: cst.CSTNode, mutated: cst.CSTNode) -> bool:
    if isinstance(node, (cst.Assign, cst.AnnAssign)):
        return _is_false(node.value)
    if isinstance(node, cst.Call) and isinstance(mutated, cst.Call) and len(node.args) == len(mutated.args):
        changed = [old.value for old, new in zip(node.args, mutated.args, strict=True) if old is not new]
        return len(changed) == 1 and _is_false(changed[0]) and node.func is mutated.func
    if isinstance(node, cst.SimpleString) and isinstance(mutated, cst.SimpleString):
        return node.value in _CODECS and mutated.value.lower() == node.value
    return False


def _name_of(function: cst.BaseExpression) -> str:
    name = function.attr if isinstance(function, cst.Attribute) else function
    return name.value if isinstance(name, cst.Name) else ""


def _is_false(node: cst.CSTNode | None) -> bool:
    return isinstance(node, cst.Name) and node.value == "False"


def _says_nothing(node: cst.CSTNode) -> bool:
    """Whether it is a docstring, or `__all__` or a name for a type, which nothing asks for as the module runs."""
    if not isinstance(node, cst.SimpleStatementLine):
        return False
    statement = node.body[0]
    if isinstance(statement, cst.Expr):
        return isinstance(statement.value, cst.BaseString)
    if isinstance(statement, cst.Assign):
        target, value = statement.targets[0].target, statement.value
        if isinstance(value, cst.Call) and _name_of(value.func) == "TypeVar":
            return True
        return isinstance(target, cst.Name) and target.value in _NAMES
    return False


def _is_protocol(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.ClassDef) and any(_name_of(base.value) == "Protocol" for base in node.bases)


def _diff(before: str, after: str) -> str:
    """The lines that differ, without what is the same before and after them."""
    old, new = before.splitlines(), after.splitlines()
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    return "\n".join([*(f"- {line.strip()}" for line in old), *(f"+ {line.strip()}" for line in new)])


def _alike(one: list[str], other: list[str]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))

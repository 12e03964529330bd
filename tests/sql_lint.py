"""Finds SQL that holds anything but constants and what `featurestore.quoting` made of values.

SQL is a string that is handed to DuckDB or to one of Lance's filters, or whose constant parts read
like it. Such a string may be made of constants, of calls that return `SQL`, and of names that were
only ever bound to such; a parameter or a field counts if it is annotated with `SQL`, which mypy
holds its callers to.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Names by which SQL reaches DuckDB or Lance, with the number of the argument that holds it.
_SINKS = {"query": 0, "read_only_query": 0, "sql": 0, "execute": 0, "delete": 1, "remove": 1}
_SINK_KEYWORDS = {"filter", "condition"}
_READS_LIKE_SQL = re.compile(
    r"\b(SELECT|FROM|WHERE|JOIN|UNION ALL|GROUP BY|ORDER BY|PARTITION BY|USING|CREATE TEMP"
    r"|CASE WHEN|IS NULL|IS NOT NULL|NOT IN|IN|AND|OR|AS)\b"
)
# Words of messages, too: alone they make no SQL.
_WEAK = {"AND", "OR", "IN", "AS", "USING", "FROM", "WHERE"}
_MAKERS_OF_NUMBERS = {"len", "int", "round"}
_PASSED_THROUGH = {
    *("SQL", "tuple", "list", "sorted", "set", "enumerate", "zip", "reversed", "dict"),
    *("items", "values", "keys", "get", "strip", "removesuffix", "removeprefix", "lower"),
}


@dataclass(frozen=True)
class Offence:
    """A piece of SQL that may hold a value: where, and what of it."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass
class _Known:
    """What the sources declare to be SQL: functions by what they return, fields by annotation."""

    functions: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


def offences(files: Iterable[tuple[str, str]]) -> list[Offence]:
    """All offences in sources, given as (path, text)."""
    trees = [(path, ast.parse(text)) for path, text in files]
    known = _Known()
    for _, tree in trees:
        _declare(tree, known)
    known.fields -= known.others
    return [found for path, tree in trees for found in _Module(path, tree, known).check()]


def sources(root: Path, rooms: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The modules of the rooms."""
    for room in rooms:
        for path in sorted((root / room).rglob("*.py")):
            yield str(path.relative_to(root)), path.read_text("utf-8")


def _is_sql(annotation: ast.expr | None) -> bool:
    return annotation is not None and re.search(r"\bSQL\b", ast.unparse(annotation)) is not None


def _declare(tree: ast.Module, known: _Known) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_sql(node.returns):
            known.functions.add(node.name)
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    where = known.fields if _is_sql(line.annotation) else known.others
                    where.add(line.target.id)


class _Module:
    def __init__(self, path: str, tree: ast.Module, known: _Known) -> None:
        self._path, self._tree, self._known = path, tree, known
        self._scopes: dict[ast.AST, ast.AST] = {}
        self._parents: dict[ast.AST, ast.AST] = {}
        for parent in ast.walk(tree):
            for child in ast.iter_child_nodes(parent):
                self._parents[child] = parent

    def check(self) -> Iterator[Offence]:
        """Every place where SQL is made or handed over, and holds something else."""
        seen: set[tuple[int, str]] = set()
        for node in ast.walk(self._tree):
            for expression in self._sql_at(node):
                for wrong in self._unsafe(expression):
                    found = (wrong.lineno, ast.unparse(wrong)[:80])
                    if found not in seen:
                        seen.add(found)
                        yield Offence(self._path, *found)

    def _sql_at(self, node: ast.AST) -> Iterator[ast.expr]:
        if isinstance(node, ast.Call):
            name = _called(node)
            place = _SINKS.get(name)
            is_method = isinstance(node.func, ast.Attribute)
            if name == "execute" and not _receiver(node).endswith("connection"):
                place = None
            if is_method and place is not None and len(node.args) > place:
                yield node.args[place]
            if name == "SQL" and node.args:
                yield node.args[0]
            for keyword in node.keywords:
                if keyword.arg in _SINK_KEYWORDS and is_method:
                    yield keyword.value
            if name == "format" and is_method and _is_like_sql(node.func.value):
                yield node
        elif (isinstance(node, ast.JoinedStr) and _is_like_sql(node)) or (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Add | ast.Mod)
            and _is_like_sql(node)
        ):
            yield node

    def _unsafe(self, node: ast.expr, bound: frozenset[str] = frozenset()) -> list[ast.expr]:
        """The parts of an expression that are not known to be SQL."""

        def all_of(*parts: ast.expr | None) -> list[ast.expr]:
            return [wrong for part in parts if part is not None for wrong in self._unsafe(part)]

        match node:
            case ast.Constant() | ast.Lambda():
                return []
            case ast.JoinedStr(values=parts):
                return all_of(*parts)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self._unsafe(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return all_of(left, right)
            case ast.BinOp(left=left, op=ast.Mult() | ast.BitOr(), right=right):
                return all_of(left, right)
            case ast.IfExp(body=body, orelse=other):
                return all_of(body, other)
            case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
                return all_of(*parts)
            case ast.Set(elts=parts):
                return all_of(*parts)
            case ast.Dict(keys=keys, values=parts):
                return all_of(*keys, *parts)
            case ast.Starred(value=value) | ast.Subscript(value=value):
                return self._unsafe(value)
            case ast.ListComp(elt=made) | ast.GeneratorExp(elt=made) | ast.SetComp(elt=made):
                return self._unsafe(made)
            case ast.NamedExpr(value=value):
                return self._unsafe(value)
            case ast.Attribute(attr=name):
                return [] if name in self._known.fields else [node]
            case ast.Call():
                return self._unsafe_call(node)
            case ast.Name(id=name):
                return [] if self._is_safe_name(node, name) else [node]
        return [node]

    def _unsafe_call(self, node: ast.Call) -> list[ast.expr]:
        name = _called(node)
        if name in self._known.functions or name in _MAKERS_OF_NUMBERS:
            return []
        if name == "join" and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
            return self._unsafe(node.func.value) + self._unsafe(node.args[0])
        if name == "map" and node.args and isinstance(node.args[0], ast.Name):
            return [] if node.args[0].id in self._known.functions else [node]
        if name == "fromkeys":
            return [wrong for part in node.args for wrong in self._unsafe(part)]
        if name in _PASSED_THROUGH:
            parts = list(node.args)
            if isinstance(node.func, ast.Attribute):
                parts = [node.func.value, *parts]
            return [wrong for part in parts for wrong in self._unsafe(part)]
        return [node]

    def _is_safe_name(self, node: ast.Name, name: str) -> bool:
        """Whether all that is ever bound to the name, where it is visible, is SQL."""
        scope: ast.AST | None = self._parents.get(node)
        asked = (node, name)
        if asked in _UNDER_WAY:
            return True  # its other bindings decide
        _UNDER_WAY.add(asked)
        try:
            while scope is not None:
                if isinstance(
                    scope,
                    ast.FunctionDef
                    | ast.AsyncFunctionDef
                    | ast.Module
                    | ast.Lambda
                    | ast.ListComp
                    | ast.GeneratorExp
                    | ast.SetComp
                    | ast.DictComp,
                ):
                    bindings = list(_bindings(scope, name))
                    if bindings:
                        return all(
                            (isinstance(value, bool) and value)
                            or (isinstance(value, ast.expr) and not self._unsafe(value))
                            for value in bindings
                        )
                scope = self._parents.get(scope)
        finally:
            _UNDER_WAY.discard(asked)
        return False


_UNDER_WAY: set[tuple[ast.AST, str]] = set()


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _receiver(node: ast.Call) -> str:
    return ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""


def _constants(node: ast.AST) -> str:
    return " ".join(
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def _is_like_sql(node: ast.AST) -> bool:
    words = {found[0] for found in _READS_LIKE_SQL.finditer(_constants(node))}
    return bool(words - _WEAK) or len(words & {"FROM", "WHERE", "USING"}) > 1


def _bindings(scope: ast.AST, name: str) -> Iterator[ast.expr | bool]:
    """What is bound to a name in a scope; True for what is annotated as SQL, False for the rest."""
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        arguments = scope.args
        for argument in (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            *(extra for extra in (arguments.vararg, arguments.kwarg) if extra),
        ):
            if argument.arg == name:
                yield _is_sql(argument.annotation)
    if isinstance(scope, ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp):
        for generator in scope.generators:
            yield from _unpacked(generator.target, generator.iter, name, each=True)
        return
    for node in _own(scope):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _unpacked(target, value, name)
            case ast.AnnAssign(target=ast.Name(id=found), annotation=annotation, value=value):
                if found == name:
                    yield True if _is_sql(annotation) else value if value is not None else False
            case ast.AugAssign(target=ast.Name(id=found), value=value):
                if found == name:
                    yield value
            case ast.NamedExpr(target=ast.Name(id=found), value=value):
                if found == name:
                    yield value
            case ast.For(target=target, iter=values):
                yield from _unpacked(target, values, name, each=True)
            case ast.withitem(optional_vars=ast.Name(id=found)) if found == name:
                yield False
            case ast.FunctionDef(name=found) | ast.ClassDef(name=found) if found == name:
                yield False
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                for alias in names:
                    if (alias.asname or alias.name) == name:
                        yield name.isupper() and name in _CONSTANTS_OF_OTHERS


# Constants of other modules that go into SQL.
_CONSTANTS_OF_OTHERS = {"STRUCTURE_EMBEDDINGS", "TEXT_EMBEDDINGS"}


def _unpacked(
    target: ast.expr, value: ast.expr, name: str, each: bool = False
) -> Iterator[ast.expr | bool]:
    if isinstance(target, ast.Name):
        if target.id == name:
            yield value
    elif isinstance(target, ast.Starred):
        yield from _unpacked(target.value, value, name, each)
    elif isinstance(target, ast.Tuple | ast.List):
        rows = value.elts if each and isinstance(value, ast.Tuple | ast.List) else [value]
        for number, part in enumerate(target.elts):
            for row in rows:
                same = isinstance(row, ast.Tuple | ast.List) and len(row.elts) == len(target.elts)
                yield from _unpacked(part, row.elts[number] if same else row, name)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of functions in it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _own(child)

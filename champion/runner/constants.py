"""Find the names of a `parameters` cell whose value is the same in every run, from its syntax.

A value is constant if it consists of literals, of constant names above it, of operators, and of calls of a few pure
functions. Everything else, such as `date.today()`, is known only in a run.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

_PURE = frozenset(
    "abs bool dict divmod float frozenset int len list max min pow range round set sorted str sum tuple".split()
)
_MODULES = {  # constructors, by module
    "datetime": frozenset({"date", "datetime", "time", "timedelta"}),
    "pathlib": frozenset({"Path", "PurePath", "PurePosixPath"}),
    "decimal": frozenset({"Decimal"}),
}
_PARSERS = frozenset({"fromisoformat", "fromordinal"})  # pure class methods
_METHODS = frozenset("isoformat join lower replace split strip upper".split())  # of a constant
_COMPOSED = (
    ast.JoinedStr, ast.FormattedValue, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp, ast.BoolOp,
    ast.Compare, ast.IfExp, ast.Subscript,
)  # fmt: skip
_PARTS = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context, ast.Slice)


class Cell:
    """The analysis of a cell, statement by statement.

    `others` are the statements besides assignments of one name that are not constant, as source text: unpacked
    assignments, conditions, calls.
    """

    def __init__(self, statements: Sequence[ast.stmt]) -> None:
        self.others: list[str] = []
        self._known: dict[str, bool] = {}
        self._functions: dict[str, str] = {}  # what an imported name stands for, as 'datetime.date'
        for statement in statements:
            self._read(statement)

    @property
    def constant(self) -> frozenset[str]:
        """The names whose last assignment in the cell is constant, and names declared without a value."""
        return frozenset(name for name, is_constant in self._known.items() if is_constant)

    def _read(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Import(names=found):
                self._functions |= {one.asname or one.name: one.name for one in found}
            case ast.ImportFrom(module=module, names=found):
                self._functions |= {one.asname or one.name: f"{module}.{one.name}" for one in found}
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                self._known[name] = value is None or self._is_constant(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._known[name] = self._is_constant(value)
            case ast.Assign(targets=targets, value=value) if all(isinstance(one, ast.Name) for one in targets):
                self._known |= dict.fromkeys(_bound(statement), self._is_constant(value))
            case ast.Expr(value=value) if self._is_constant(value):
                pass
            case ast.Pass():
                pass
            case _:
                bound = _bound(statement)
                self._known |= dict.fromkeys(bound, False)
                self.others.append(", ".join(bound) or ast.unparse(statement).splitlines()[0])

    def _is_constant(self, value: ast.AST) -> bool:
        match value:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return self._known.get(name, False)
            case ast.Call(func=function, args=arguments, keywords=keywords):
                given = [*arguments, *(one.value for one in keywords)]
                return self._is_pure(function) and all(map(self._is_constant, given))
            case _ if isinstance(value, (*_COMPOSED, *_PARTS)):
                return all(map(self._is_constant, ast.iter_child_nodes(value)))
            case _:
                return False

    def _is_pure(self, function: ast.expr) -> bool:
        match function:
            case ast.Name(id=name) if name in _PURE:
                return name not in self._known and name not in self._functions
            case ast.Attribute(value=owner, attr=name) if name in _PARSERS:
                return self._is_pure(owner)
            case ast.Attribute(value=owner, attr=name) if name in _METHODS and self._is_constant(owner):
                return True
            case ast.Name(id=name) if name not in self._known:
                module, _, name = self._functions.get(name, "").rpartition(".")
                return name in _MODULES.get(module, ())
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner not in self._known:
                return name in _MODULES.get(self._functions.get(owner, ""), ())
        return False


def _bound(statement: ast.stmt) -> list[str]:
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]

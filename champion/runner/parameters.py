"""A notebook's parameters: what its `parameters` cell declares, and whether the given ones fit, before a kernel starts.

The cell is read with Python's own parser, not run: `name: type = default  # help`, one a statement. Papermill's reader
is not used, because it overlooks `str | None`, defaults that hold an equals sign, and parameters without default.
"""

from __future__ import annotations

import ast
import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from champion.base.strict_json import is_unicode
from champion.errors import ParameterError
from champion.runner import constants
from champion.security.redaction import is_secret_name

_SHOWN = 100  # characters of a text that is refused
_CREDENTIALS = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
_NO_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)  # CPython's parser has no memory for deep nesting
_SCALARS = frozenset({"str", "int", "float", "bool", "date"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter; `kinds` are the types it takes, `default` the source text of its default."""

    name: str
    kinds: tuple[str, ...]
    default: str | None
    help: str
    computed: bool = False  # whether only a run knows the default, as of `date.today()`

    @property
    def optional(self) -> bool:
        """Whether None is a value for it."""
        return "None" in self.kinds or not self.kinds

    @property
    def required(self) -> bool:
        """Whether a run must give it: it has no default, or a default of None that its type does not allow."""
        return self.default is None or (self.default == "None" and not self.optional)

    @property
    def type(self) -> str:
        """The type as one reads it."""
        return " | ".join(self.kinds) or "any"


def read(source: str, notebook: str) -> dict[str, Parameter]:
    r"""Return the parameters that the source of a `parameters` cell declares, by name, in order.

    Raises:
        ParameterError: the cell is not Python, or a type is not one that can be passed to a notebook.

    >>> read("session: date  # the session\nhorizon: int = 5", "train")["horizon"].type
    'int'
    """
    try:
        statements = ast.parse(source).body
        lines = re.split(r"\r\n|\r|\n", source)  # what ends a line for Python's parser, and nothing else
        constant = constants.names(statements)
        found = [_declared(statement, lines, notebook, constant) for statement in statements]
    except _NO_PYTHON as error:
        told = str(error) or "it is nested too deeply"
        raise ParameterError(f"notebook {notebook}: its parameters cell is not Python ({told}): correct it") from error
    return {parameter.name: parameter for parameter in found if parameter is not None}


def undetermined(source: str) -> list[str]:
    r"""Return what a `parameters` cell computes besides its parameters, so that two runs of it may differ.

    >>> undetermined("import time\nn: int = 1\na, b = time.time(), 1")
    ['a, b']
    """
    statements = ast.parse(source).body
    return constants.computed(statements)


def check(declared: Mapping[str, Parameter], given: Mapping[str, Any], notebook: str) -> dict[str, Any]:
    """Return the given values as papermill can write them: JSON, dates as ISO text.

    Raises:
        ParameterError: an unknown or missing name, a value of another type, or what looks like a secret. All
            complaints are in the message.
    """
    problems: list[str] = [_unknown(name, declared) for name in given if name not in declared]
    problems += [
        f"{name!r} ({parameter.type}) is required" + (f": {parameter.help}" if parameter.help else "")
        for name, parameter in declared.items()
        if parameter.required and name not in given
    ]
    problems += [
        f"{name!r} looks like a secret, and parameters are saved and shown: pass it by the environment"
        for name in dict.fromkeys([*declared, *given])
        if is_secret_name(name)
    ]
    problems += [f"{name!a} holds text that is not UTF-8" for name in given if not is_unicode(name)]
    values: dict[str, Any] = {}
    for name in given.keys() & declared.keys():
        try:
            values[name] = _accepted(given[name], declared[name].kinds)
        except ValueError as error:
            problems.append(
                f"{name!r} takes {declared[name].type}, {error}{_nearest(given[name], declared[name].kinds)}"
            )
    if problems:
        raise ParameterError(f"notebook {notebook} cannot run: {'; '.join(problems)}")
    return {name: values[name] for name in declared if name in values}


def from_text(declared: Mapping[str, Parameter], texts: Mapping[str, str]) -> dict[str, Any]:
    r"""Return values for texts from a command line: numbers, booleans and lists as JSON, text and dates as they are.

    >>> from_text(read("horizon: int = 5\nname: str = 'a'", "train"), {"horizon": "10", "name": "b"})
    {'horizon': 10, 'name': 'b'}
    """
    return {name: _read_text(text, declared[name]) if name in declared else text for name, text in texts.items()}


def _read_text(text: str, parameter: Parameter) -> Any:
    if text in {"None", "null", ""} and parameter.optional:
        return None
    choices = [choice for kind in parameter.kinds for choice in _choices(kind)]
    if {"str", "date"} & set(parameter.kinds) or any(isinstance(choice, str) for choice in choices):
        return text
    try:
        return json.loads(text.lower() if "bool" in parameter.kinds else text)
    except (ValueError, RecursionError):
        return text  # `check` says what was wrong with it


def defaults(declared: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the defaults that are literals; a computed default is known to the notebook alone."""
    found = {}
    for name, parameter in declared.items():
        try:
            value = ast.literal_eval(parameter.default or "")
            found[name] = json.loads(json.dumps(value))
        except (*_NO_PYTHON, TypeError):
            continue
    return found


def _declared(statement: ast.stmt, lines: Sequence[str], notebook: str, constant: frozenset[str]) -> Parameter | None:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        name, kinds = statement.target.id, _kinds(statement.annotation, notebook, statement.target.id)
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        name, kinds = statement.targets[0].id, _kinds_of_default(statement.value)
    else:
        return None
    default = ast.unparse(statement.value) if statement.value is not None else None
    line = lines[(statement.end_lineno or statement.lineno) - 1].encode()[statement.end_col_offset or 0 :]
    return Parameter(name, kinds, default, line.decode().strip().removeprefix("#").strip(), name not in constant)


def _kinds(annotation: ast.expr, notebook: str, name: str) -> tuple[str, ...]:
    """Return the members of a union, `Optional[X]` as X and None."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _kinds(ast.parse(annotation.value, mode="eval").body, notebook, name)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _kinds(annotation.left, notebook, name) + _kinds(annotation.right, notebook, name)
    text = ast.unparse(annotation).removeprefix("datetime.")
    if optional := re.fullmatch(r"(?:typing\.)?Optional\[(.+)\]", text):
        return *_kinds(ast.parse(optional[1], mode="eval").body, notebook, name), "None"
    inner = re.fullmatch(r"(?:typing\.)?[lL]ist\[(.+)\]", text)
    if inner and (inner[1] in _SCALARS or _choices(inner[1])):
        return (f"list[{inner[1]}]",)
    if text not in _SCALARS | {"None", "list", "dict"} and not _choices(text):
        raise ParameterError(
            f"notebook {notebook}: parameter {name!r} has type {text}; a notebook takes "
            f"{', '.join(sorted(_SCALARS))}, Literal[...], list[...] of these, dict, and ... | None"
        )
    return (text.removeprefix("typing."),)


def _choices(kind: str) -> tuple[Any, ...]:
    """Return the values that a `Literal[...]` names; nothing where it is none.

    >>> _choices("Literal['logistic', 'forest']")
    ('logistic', 'forest')
    """
    named = re.fullmatch(r"(?:typing\.)?Literal\[(.+)\]", kind)
    if named is None:
        return ()
    try:
        found = ast.literal_eval(f"({named[1]},)")
    except (*_NO_PYTHON, TypeError):
        return ()
    return tuple(found) if all(isinstance(value, str | int | float) for value in found) else ()


def _kinds_of_default(value: ast.expr) -> tuple[str, ...]:
    try:
        kind = type(ast.literal_eval(value)).__name__
    except (ValueError, TypeError):  # {[]: 1} is an expression, but no value
        return ()
    return (kind,) if kind in _SCALARS | {"list", "dict"} else ()


def _unknown(name: str, declared: Mapping[str, Parameter]) -> str:
    near = difflib.get_close_matches(name, declared, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(declared) or 'no parameters'}"
    return f"it has no parameter {name!r}: {hint}"


def _nearest(value: Any, kinds: Sequence[str]) -> str:
    choices = [choice for kind in kinds for choice in _choices(kind) if isinstance(choice, str)]
    near = difflib.get_close_matches(value, choices, n=1) if isinstance(value, str) else []
    return f": did you mean {near[0]!r}?" if near else ""


def _accepted(value: Any, kinds: Sequence[str]) -> Any:
    if isinstance(value, str) and _CREDENTIALS.search(value):
        raise ValueError("and the text holds a user's password: pass it by the environment")
    if not is_unicode(value):
        raise ValueError(f"and the text {ascii(value)[:_SHOWN]} is not UTF-8: convert it")
    if isinstance(value, tuple | set | frozenset):
        raise ValueError(f"found {value!r}: write a list")  # noqa: TRY004 - one kind of complaint, gathered above
    for kind in kinds or ("str", "bool", "int", "float", "list", "dict", "None"):
        fits, accepted = _as(value, kind)
        if fits:
            return accepted
    raise ValueError(f"found {value!r} ({type(value).__name__})")


def _as(value: Any, kind: str) -> tuple[bool, Any]:  # noqa: PLR0911 - one return a type
    """Return whether a value is of a kind, and how it is written down."""
    match kind:
        case "None":
            return value is None, None
        case "bool":
            return isinstance(value, bool), value
        case "int":
            fits = isinstance(value, Integral) and not isinstance(value, bool)
            return fits, int(value) if fits else None
        case "float":
            return _as_float(value)
        case "str":
            return isinstance(value, str | Path | date), value.isoformat() if isinstance(value, date) else str(value)
        case "date":
            return _as_date(value)
        case "dict":
            return _as_json(value, dict)
        case _ if kind.startswith("list"):
            return _as_list(value, kind.removeprefix("list")[1:-1])
        case _:  # the same number of another type is another value: True is not 1
            fits = any(value == choice and type(value) is type(choice) for choice in _choices(kind))
            return fits, value


def _as_float(value: Any) -> tuple[bool, float | None]:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False, None
    try:
        number = float(value)
    except OverflowError:  # a whole number of 400 digits
        return False, None
    return math.isfinite(number), number if math.isfinite(number) else None


def _as_date(value: Any) -> tuple[bool, str | None]:
    if isinstance(value, str):
        try:
            return True, date.fromisoformat(value).isoformat()
        except ValueError:
            return False, None
    fits = isinstance(value, date) and not isinstance(value, datetime)
    return fits, value.isoformat() if fits else None


def _as_list(value: Any, kind: str) -> tuple[bool, Any]:
    if not kind or not isinstance(value, list):
        return _as_json(value, list)
    items = [_as(item, kind) for item in value]
    return all(fits for fits, _ in items), [accepted for _, accepted in items]


def _as_json(value: Any, kind: type) -> tuple[bool, Any]:
    try:
        return isinstance(value, kind), json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return False, None

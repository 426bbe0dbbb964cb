"""Parse the `parameters` cell of a notebook and check given values against it, before a kernel starts.

Python's parser reads the cell, which is not run: `name: type = default  # help`, one a statement. Papermill's parser
does not support `str | None`, defaults that contain an equals sign, and parameters without a default.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, BeforeValidator, Strict

from champion.base.strict_json import is_unicode
from champion.errors import ParameterError
from champion.runner import constants
from champion.security.redaction import holds_password, is_secret_name

_NO_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)  # CPython's parser has no memory for deep nesting
_SCALARS = frozenset({"str", "int", "float", "bool", "date"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter: `kinds` are the types it accepts, `default` is the source text of its default."""

    name: str
    kinds: tuple[str, ...]
    default: str | None
    help: str
    computed: bool = False  # whether the default is not a constant, as `date.today()`

    @property
    def optional(self) -> bool:
        """Whether it accepts None."""
        return "None" in self.kinds or not self.kinds

    @property
    def required(self) -> bool:
        """Whether a run must give a value: there is no default, or a default of None that the type does not allow."""
        return self.default is None or (self.default == "None" and not self.optional)

    @property
    def type(self) -> str:
        """The type for display."""
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
        lines = re.split(r"\r\n|\r|\n", source)  # the line ends of Python's parser
        constant = constants.Cell(statements).constant
        found = [_declared(statement, lines, notebook, constant) for statement in statements]
    except _NO_PYTHON as error:
        reason = str(error) or "it is nested too deeply"
        raise ParameterError(
            f"notebook {notebook}: its parameters cell is not Python ({reason}): correct it"
        ) from error
    return {parameter.name: parameter for parameter in found if parameter is not None}


def undetermined(source: str) -> list[str]:
    r"""Return the assignments of a `parameters` cell that compute other names than parameters: they may differ by run.

    >>> undetermined("import time\nn: int = 1\na, b = time.time(), 1")
    ['a, b']
    """
    return constants.Cell(ast.parse(source).body).others


def check(declared: Mapping[str, Parameter], given: Mapping[str, Any], notebook: str) -> dict[str, Any]:
    """Return the given values as JSON, which papermill can write; dates become ISO text.

    Raises:
        ParameterError: a name is unknown or missing, a value has another type, or looks like a secret. The message
            lists all problems.
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
            nearest = _nearest(given[name], declared[name].kinds)
            problems.append(f"{name!r} takes {declared[name].type}, {error}{nearest}")
    if problems:
        raise ParameterError(f"notebook {notebook} cannot run: {'; '.join(problems)}")
    return {name: values[name] for name in declared if name in values}


def from_text(declared: Mapping[str, Parameter], texts: Mapping[str, str]) -> dict[str, Any]:
    r"""Return the values of texts from a command line: numbers, booleans and lists are JSON, text and dates stay.

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
        return text  # `check` reports the problem


def defaults(declared: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the defaults that are literals, by name."""
    values = {}
    for name, parameter in declared.items():
        with suppress(*_NO_PYTHON, TypeError):
            values[name] = json.loads(json.dumps(ast.literal_eval(parameter.default or "")))
    return values


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
    """Return the values of a `Literal[...]`; empty for another kind.

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
    except (ValueError, TypeError):  # {[]: 1} is an expression, but not a value
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


def _accepted(value: Any, kinds: tuple[str, ...]) -> Any:
    if isinstance(value, str) and holds_password(value):
        raise ValueError("and the text holds a user's password: pass it by the environment")
    if not is_unicode(value):
        raise ValueError(f"and the text {ascii(value)[:100]} is not UTF-8: convert it")
    if isinstance(value, tuple | set | frozenset):
        raise ValueError(f"found {value!r}: write a list")  # noqa: TRY004 - one kind of complaint, gathered above
    for kind in kinds or _ANY:
        with suppress(pydantic.ValidationError):
            return pydantic.TypeAdapter(_type(kind)).validate_python(value)
    raise ValueError(f"found {value!r} ({type(value).__name__})")


def _type(kind: str) -> Any:
    """Return the type that validates a value; dates become ISO text, NumPy numbers become Python numbers."""
    if kind in _TYPES:
        return _TYPES[kind]
    if items := re.fullmatch(r"list\[(.+)\]", kind):
        return Annotated[GenericAlias(list, _type(items[1])), Strict()]
    return Annotated[Any, AfterValidator(partial(_one_of, _choices(kind)))]


def _text(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, str | Path) else value


def _iso_date(value: Any) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str):
        raise ValueError("not a date")  # noqa: TRY004 - pydantic reports ValueError only
    return date.fromisoformat(value).isoformat()


def _integer(value: Any) -> Any:
    return value if isinstance(value, bool) or not isinstance(value, Integral) else int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic reports ValueError only
    try:
        return float(value)
    except OverflowError as error:  # an integer of 400 digits
        raise ValueError("too large") from error


def _json(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, RecursionError) as error:
        raise ValueError("not JSON") from error


def _one_of(choices: Sequence[Any], value: Any) -> Any:
    """Return a value that is among the choices: an equal one of another type is not, as True is not 1."""
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise ValueError("not among the choices")
    return value


_TYPES: dict[str, Any] = {
    "None": None,
    "bool": pydantic.StrictBool,
    "int": Annotated[pydantic.StrictInt, BeforeValidator(_integer)],
    "float": Annotated[pydantic.StrictFloat, pydantic.Field(allow_inf_nan=False), BeforeValidator(_number)],
    "str": Annotated[pydantic.StrictStr, BeforeValidator(_text)],
    "date": Annotated[pydantic.StrictStr, BeforeValidator(_iso_date)],
    "list": Annotated[list[Any], Strict(), AfterValidator(_json)],
    "dict": Annotated[dict[Any, Any], Strict(), AfterValidator(_json)],
}
_ANY = ("str", "bool", "int", "float", "list", "dict", "None")  # of a parameter without a type

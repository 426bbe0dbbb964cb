"""Identify the code that a run used, as its kernel recorded it, and find later changes.

A run is repeated only if code that it used has changed. For Python files the syntax tree counts, without docstrings and
comments. Files have labels that survive a move:

- `champion/...`, `schemas/...`, `sql/...`: Champion's own files;
- `own/...`: modules below a folder of PYTHONPATH or beside the notebook, and files and listings that they read there;
- an absolute path: code from elsewhere, for example an editable installation or a script.

The record also has the settings whose names occur in that code or in the notebook (except locations and resource
limits), and digests of the environment variables that the user's code or the notebook reads.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import champion
from champion.base import package_data
from champion.base.strict_json import parse_json
from champion.kernel import own_files
from champion.security.redaction import is_secret_name

if TYPE_CHECKING:
    from champion.settings import Settings

ARTIFACT = "code.json"
_PACKAGE = Path(champion.__file__).resolve().parent
_OWN = "own/"
_SETTINGS_FILE = "champion/settings/__init__.py"
_PREFIX = "CHAMPION_"
_PLACES = frozenset({  # locations and resource limits; the data itself is an input of a run
    "archive", "archive_pause", "archive_silence", "artifacts_uri", "disk_free_gb", "features_years", "frames_gb",
    "home", "lake_archive", "lake_uri", "lists", "mlflow_port", "normalized_years", "notebook_memory",
    "notebook_timeout", "notify_block", "notify_url", "prefect_api_url", "prefect_database_url", "prefect_login",
    "prefect_port", "promotion_webhook", "raw_years", "task_runner", "tracking_uri", "warehouse_cluster",
    "warehouse_dsn", "work_pool",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Code:
    """The code of a run: digests of files by label, names of requested modules, values of settings as text.

    `variables` are digests of environment variables, by name.
    """

    files: Mapping[str, str]
    asked: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The SHA-256 of the files, settings and variables."""
        parts = [dict(self.files), dict(self.settings), *([dict(self.variables)] if self.variables else [])]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def used(settings: Settings, record: Path, folders: Sequence[Path], sources: str) -> Code | None:
    """Return the code that a kernel recorded in a file; `sources` is the text of the notebook's cells.

    A file that has changed since it was used has no digest. None if there is no record.
    """
    try:
        recorded = parse_json(dict[str, Any], record.read_bytes())
    except (OSError, ValueError):
        return None
    files, mentioned = {}, _settings_named(set(re.findall(r"\w+", sources)))
    for name, raw in recorded["files"].items():
        path, label = Path(name), _label(Path(name), folders) + ("/" if name.endswith(os.sep) else "")
        if raw == own_files.ABSENT:
            files[label] = "" if path.exists() else own_files.ABSENT
            continue
        content = _content(path)
        same = content is not None and hashlib.sha256(content).hexdigest() == raw
        files[label] = _digest(content, path.suffix) if content is not None and same else ""
        if content is not None and path.suffix == ".py" and label != _SETTINGS_FILE:
            mentioned |= _of_python(content)[1]
    variables = _variables(recorded.get("variables", {}))
    return Code(files, tuple(recorded["asked"]), _values(settings, mentioned), variables)


def changes(settings: Settings, before: Code, folders: Sequence[Path]) -> list[str]:
    """Return the changes in a run's code and settings, as clauses; empty without changes."""
    changed = [label for label, digest in before.files.items() if not digest or _now(label, folders) != digest]
    ours = [label for label in changed if label.startswith(("champion/", "schemas/", "sql/"))]
    found = [f"{label.removeprefix(_OWN)} changed" for label in changed if label not in ours]
    found += [f"module {name} is found elsewhere" for name in _taken(before, folders)]
    if ours:
        more = f" and {len(ours) - 1} more" if len(ours) > 1 else ""
        found.append(f"Champion's code changed ({ours[0]}{more})")
    now = _values(settings, set(before.settings))
    different = [name for name, value in before.settings.items() if now.get(name) != value]
    found += [f"setting {name} is {now.get(name, 'gone')}, was {before.settings[name]}" for name in different]
    found += [f"variable {name} changed" for name, digest in before.variables.items() if _of_variable(name) != digest]
    return found


def to_json(code: Code) -> dict[str, Any]:
    """Return the code as JSON, which `from_json` reads."""
    return {name: value for name, value in asdict(code).items() if value or name != "variables"}


def from_json(content: bytes) -> Code | None:
    """Return the code that `to_json` wrote, None if it is damaged."""
    try:
        return parse_json(Code, content)
    except ValueError:
        return None


def _label(path: Path, folders: Sequence[Path]) -> str:
    for name, root in _roots().items():
        if path.is_relative_to(root):
            return f"{name}/{path.relative_to(root).as_posix()}"
    inside = [folder for folder in folders if path.is_relative_to(folder) and path != folder]
    if not inside:
        return str(path)
    return f"{_OWN}{path.relative_to(max(inside, key=lambda folder: len(folder.parts))).as_posix()}"


def _now(label: str, folders: Sequence[Path]) -> str:
    """Return the current digest of a label, a marker if the file does not exist."""
    name, _, rest = label.partition("/")
    root = _roots().get(name)
    places = [folder / rest for folder in folders] if label.startswith(_OWN) else [root / rest if root else Path(label)]
    found = ((path, content) for path in places if (content := _content(path)) is not None)
    return next((_digest(content, path.suffix) for path, content in found), own_files.ABSENT)


def _roots() -> dict[str, Path]:
    """Return the folders of Champion's own files, by the name that begins their labels."""
    return {"champion": _PACKAGE, "schemas": package_data.folder("schemas"), "sql": package_data.folder("sql")}


def _taken(before: Code, folders: Sequence[Path]) -> list[str]:
    """Return requested modules that would now be imported from another file of the own folders."""
    found, first_parts = [], set[str]()
    for folder in folders:
        with suppress(OSError):
            first_parts |= {name.partition(".")[0] for name in os.listdir(folder)}  # noqa: PTH208 - only names are wanted
    for name in sorted(one for one in before.asked if one.partition(".")[0] in first_parts):
        places = (folder / one for folder in folders for one in own_files.candidates(name))
        label = next((_label(place, folders) for place in places if place.is_file()), None)
        if label is not None and label not in before.files and not label.startswith("champion/"):
            found.append(name)
    return found


def _content(path: Path) -> bytes | None:
    try:
        return own_files.listing(str(path)) if path.is_dir() else path.read_bytes()
    except OSError:
        return None


def _digest(content: bytes, suffix: str) -> str:
    return _of_python(content)[0] if suffix == ".py" else hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=1024)
def _of_python(content: bytes) -> tuple[str, frozenset[str]]:
    """Return the digest of a module's syntax tree and the settings it mentions."""
    try:
        tree = ast.parse(content)
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and ast.get_docstring(node, clean=False) is not None
            ):
                node.body = node.body[1:] or [ast.Pass()]
        digest = hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return hashlib.sha256(content).hexdigest(), frozenset()
    words = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return digest, _settings_named(words)


@lru_cache(maxsize=1)
def _setting_words() -> Mapping[str, frozenset[str]]:
    """Return the settings by the words that refer to them in code: a name, a variable, or a property."""
    from champion.settings import Settings  # noqa: PLC0415 - elsewhere settings are imported for their type only

    names = set(Settings.model_fields) - _PLACES - set(Settings.secret_names())
    words = {word: {name} for name in names for word in (name, f"{_PREFIX}{name.upper()}")}
    tree = ast.parse((_PACKAGE.parent / _SETTINGS_FILE).read_bytes())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == Settings.__name__]
    for method in (node for one in classes for node in one.body if isinstance(node, ast.FunctionDef)):
        if method.name != "environment" and not method.name.startswith("_"):  # these pass on all settings
            inside = {node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute)}
            words.setdefault(method.name, set()).update(inside & names)
    return {word: frozenset(found) for word, found in words.items()}


def _settings_named(words: set[str]) -> frozenset[str]:
    known = _setting_words()
    return frozenset(name for word in words & known.keys() for name in known[word])


def _variables(read: Mapping[str, str | None]) -> dict[str, str]:
    """Return the digests of variables that the kernel inherited unchanged, without secrets and settings."""
    inherited = sorted(name for name, value in read.items() if os.environ.get(name) == value)
    ours = [name for name in inherited if not name.startswith(_PREFIX) and not is_secret_name(name)]
    return {name: _of_variable(name) for name in ours}


def _of_variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        return own_files.ABSENT
    return hashlib.sha256(f"{name}={value}".encode("utf-8", "surrogateescape")).hexdigest()


def _values(settings: Settings, names: set[str] | frozenset[str]) -> dict[str, str]:
    every = settings.environment()
    return {name: every[text] for name in sorted(names) if (text := f"{_PREFIX}{name.upper()}") in every}

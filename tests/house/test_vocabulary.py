"""Vocabulary: no dialect in pages, help texts, notebooks, docstrings, messages, comments and names.

Plain words are the rule; the list below has the words that were wrong most often, each with a better one. Code in
backticks is not checked, because stored names such as `champion.learnt_to` keep their spelling.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIALECT = {
    "anew": "again",
    "mend|mends|mended|mending": "fix, repair, remedy",
    "told|foretold|tells?": "print, show, report, distinguish",
    "said": "reported, printed",
    "heard|hears?": "detect, receive",
    "lived": "survived",
    "taught|learnt": "trained on",
    "reign|reigns|reigned|reigning": "current champion",
    "nobody|somebody": "no user, a user",
    "one's own": "your own",
    "(came|comes?) of": "outcome, result",
    "looked at": "examined, shown",
    "laid aside": "set aside, kept",
    "put right": "repaired",
    "belongs? into": "belongs in",
    "at once": "immediately, in one step, concurrently",
    "what there is": "a noun",
    "who asks": "a noun",
    "sees? to it": "ensure",
    "morning look": "session report",
    "(its|their|keeps?|Prefect's|MLflow's) books": "store, database",
}
NAMES = re.compile(
    r"anew|births?|born|came|heard|knew|learnt|lived|mend|nobody|reigning|said|somebody|strangers?|taught|told"
)
STORED = {"born"}  # the fields of stored records keep their names
WORDS = re.compile("|".join(rf"(?<![\w.-])(?:{words})(?![\w-])" for words in DIALECT), re.IGNORECASE)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
FOLDERS = ("champion", "flows", "docs", "benchmarks")
PYTHON = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "_build" not in path.parts)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "benchmarks").rglob("README.md"))]
GENERATED = {ROOT / "docs/reference/cli.md", ROOT / "docs/reference/settings.md"}  # from texts that are tested too
PAGES += [
    path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts and path not in GENERATED
]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))

EXEMPT = ("docs/contracts.md", "docs/faults.md", "docs/licences.md")
"""Pages written from released contracts, from measurements, and from other packages' metadata."""


def checked(paths: list[Path]) -> list[Path]:
    """The paths that are not exempt."""
    return [path for path in paths if not any(path.is_relative_to(ROOT / exempt) for exempt in EXEMPT)]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def found(text: str) -> list[str]:
    return [match[0] for match in WORDS.finditer(CODE.sub("", text))]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Every comment, docstring and message of a module, with its line. A string without a space is a name."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\s", node.value):
            yield node.lineno, node.value


def public_names(source: str) -> Iterator[tuple[int, str]]:
    """The names of classes, functions, methods, module constants and fields that do not start with an underscore."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        if isinstance(node, ast.Module | ast.ClassDef):
            for line in node.body:
                targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
                yield from ((line.lineno, target.id) for target in targets if isinstance(target, ast.Name))


def dialect_parts(name: str) -> list[str]:
    """The dialect words in a name, which is split at underscores and capitals."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
    return [] if name.startswith("_") or name in STORED else [part for part in parts if NAMES.fullmatch(part)]


@pytest.mark.parametrize("path", checked(PAGES), ids=name_of)
def test_pages_are_in_plain_words(path: Path) -> None:
    lines = CODE.sub(lambda match: "\n" * match[0].count("\n"), path.read_text(encoding="utf-8")).splitlines()
    assert [(number, words) for number, line in enumerate(lines, 1) if (words := found(line))] == []


@pytest.mark.parametrize("path", checked(NOTEBOOKS), ids=name_of)
def test_notebooks_are_in_plain_words(path: Path) -> None:
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert [(number, words) for number, text in enumerate(cells) if (words := found(text))] == []


@pytest.mark.parametrize("path", checked(PYTHON), ids=name_of)
def test_code_is_in_plain_words(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert [(line, words) for line, text in texts(source) if (words := found(text))] == []
    assert [(line, name) for line, name in public_names(source) if dialect_parts(name)] == []


def test_file_names_are_in_plain_words() -> None:
    assert [name_of(path) for path in [*PYTHON, *PAGES, *NOTEBOOKS] if dialect_parts(path.stem)] == []


def test_every_exempt_path_exists() -> None:
    assert [path for path in EXEMPT if not (ROOT / path).exists()] == []


def test_dialect_is_found_in_text_comments_messages_and_names() -> None:
    assert found("It is made anew, Told `anew`; learnt_to stays") == ["anew", "Told"]
    source = '"""Mends it."""\nclass Told:  # at once\n    said: int = 1\n'
    assert [found(text) for _, text in texts(source)] == [["at once"], ["Mends"]]
    assert [name for _, name in public_names(source) if dialect_parts(name)] == ["Told", "said"]

"""The identity of a run: own modules, Champion's code without comments, settings, computed defaults."""

from __future__ import annotations

import hashlib
import json
import os
import py_compile
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from written import notebook

from champion.runner import NotebookRequest, Outcome, code_identity, run_notebook
from champion.settings import Settings
from champion.tracking import runs

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

USES = """\
from importlib import import_module
import pack.inner, beside, late
from champion import report
try:
    import faster
except ImportError:
    faster = None
exec(compile(open(script).read(), script, "exec"))
with open("made_here.py", "w") as stream:
    stream.write("X = 1")
import made_here
report.publish(values={"found": [pack.inner.VALUE, beside.VALUE, late.VALUE, SCRIPT, faster is not None]})
"""
FILES = {
    "path/pack/__init__.py": "",
    "path/pack/inner.py": (
        '"""Prose."""\nimport json, pathlib\n'
        'VALUE = json.loads(pathlib.Path(__file__).with_name("w.json").read_text())\n'
    ),
    "path/pack/w.json": "1",
    "path/unused.py": "VALUE = 1\n",
    "second/late.py": "VALUE = 1\n",
    "notebooks/beside.py": "VALUE = 1\n",
    "script.py": "SCRIPT = 1\n",
}


@pytest.fixture
def on_path() -> Iterator[Callable[..., None]]:
    """A function that sets PYTHONPATH to some folders."""
    before = os.environ.get("PYTHONPATH")

    def put(*folders: Path) -> None:
        os.environ["PYTHONPATH"] = os.pathsep.join(map(str, folders))

    yield put
    os.environ.pop("PYTHONPATH", None)
    if before is not None:
        os.environ["PYTHONPATH"] = before


def test_run_repeats_only_if_code_it_used_has_changed(tmp_path: Path, on_path: Callable[..., None]) -> None:
    settings, root = Settings(home=tmp_path / "home"), tmp_path / "code"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    book = notebook(root / "notebooks", "uses", "script: str", USES)
    on_path(root / "path", root / "second")

    def run(**how: Any) -> tuple[Outcome, str]:
        given = {"script": str(root / "script.py")}
        done = run_notebook(settings, NotebookRequest(book, given, inputs={"bars": "a"}, **how))
        found = [json.loads((root / "path/pack/w.json").read_text()), 1, 1, 1, False]
        assert done.values["found"] == found or (root / "path/faster.py").exists()
        return done.outcome, done.reason

    first = run()
    assert first == (Outcome.SUCCEEDED, "because it has not succeeded before")
    assert run()[0] is Outcome.SKIPPED

    # What does not matter: prose, a module that was not imported, a file beside that nobody read.
    (root / "path/pack/inner.py").write_text(f"# a comment\n{FILES['path/pack/inner.py'].replace('Prose', 'Other')}\n")
    (root / "path/unused.py").write_text("VALUE = 2\n")
    (root / "path/note.txt").write_text("note")
    assert run()[0] is Outcome.SKIPPED

    run_of = runs.find_runs(settings, ["notebooks"], tags={"champion.notebook": "uses"})[0]
    code = code_identity.from_json(Path(runs.location(run_of, "code.json")).read_bytes())
    assert code is not None
    assert run_of.tags["champion.code_hash"] == code.digest
    own = {label for label in code.files if not label.startswith("champion/")}
    assert own == {
        "own/pack/__init__.py",
        "own/pack/inner.py",
        "own/pack/w.json",
        "own/late.py",
        "own/beside.py",
        str(root / "script.py"),
    }
    folders = (root / "path", root / "second", root / "notebooks")
    assert code_identity.changes(settings, code, folders) == []

    # What matters, each by itself: the record is held against the files as they are then.
    changed = {
        "path/pack/inner.py": ("VALUE = 2\n", ["pack/inner.py changed"]),
        "path/pack/w.json": ("2", ["pack/w.json changed"]),
        "second/late.py": ("VALUE = 2\n", ["late.py changed"]),
        "notebooks/beside.py": ("VALUE = 2\n", ["beside.py changed"]),
        "script.py": ("SCRIPT = 2\n", [f"{root / 'script.py'} changed"]),
        "path/faster.py": ("", ["module faster is found elsewhere"]),
        "path/polars.py": ("", ["module polars is found elsewhere"]) if "polars" in code.asked else ("", []),
        "path/late.py": ("VALUE = 2\n", ["late.py changed"]),
        "path/beside/__init__.py": ("", ["module beside is found elsewhere"]),
    }
    for name, (text, reasons) in changed.items():
        path = root / name
        before = path.read_text() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        assert code_identity.changes(settings, code, folders) == reasons, name
        if before is None:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        else:
            path.write_text(before)
    gone = root / "second/late.py"
    gone.rename(root / "late.txt")
    assert code_identity.changes(settings, code, folders) == ["late.py changed"]
    (root / "late.txt").rename(gone)

    # A project that is moved as a whole is the same project, but for what it names by its absolute path.
    moved = root.rename(tmp_path / "moved")
    there = tuple(moved / folder.relative_to(root) for folder in folders)
    assert code_identity.changes(settings, code, there) == [f"{root / 'script.py'} changed"]
    moved.rename(root)

    # And a changed module is run, with its new value.
    (root / "path/pack/w.json").write_text("2")
    assert run() == (Outcome.SUCCEEDED, "because pack/w.json changed")


def test_used_code_of_champion_counts_without_comments(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    package = Path(code_identity.__file__).parents[1]
    style = package / "plots/style.py"
    tree = {
        name: code_identity._digest((package / name).read_bytes(), ".py") for name in ("errors.py", "plots/style.py")
    }
    code = code_identity.Code({f"champion/{name}": digest for name, digest in tree.items()})
    assert code_identity.changes(settings, code, ()) == []
    text = style.read_text()
    prose = text.replace('"""', '"""Once more. ', 1) + "\n# a comment\n"
    assert code_identity._digest(prose.encode(), ".py") == tree["plots/style.py"]
    assert code_identity._digest((text + "\nX = 1\n").encode(), ".py") != tree["plots/style.py"]
    other = code_identity.Code({**code.files, "champion/plots/style.py": "0"})
    assert code_identity.changes(settings, other, ()) == ["Champion's code changed (champion/plots/style.py)"]
    edited = code_identity.Code({"champion/errors.py": ""})  # changed while it ran: never the same
    assert code_identity.changes(settings, edited, ()) == ["Champion's code changed (champion/errors.py)"]


@given(st.sampled_from(['"""One."""\n', "# one\n", "\n\n", ""]), st.sampled_from(["", "# end", "\n"]))
def test_comments_and_docstrings_do_not_change_the_digest(head: str, tail: str) -> None:
    plain = b"def f(a):\n    return a\n\nclass C:\n    x = 1\n"
    text = (
        f'{head}def f(a):\n    """Say."""  # why\n    return a  # this\n\nclass C:\n    """Doc."""\n    x = 1\n{tail}'
    )
    assert code_identity._digest(text.encode(), ".py") == code_identity._digest(plain, ".py")
    assert code_identity._digest(text.replace("return a ", "return -a ").encode(), ".py") != code_identity._digest(
        plain, ".py"
    )


RECORDS = """
import os, sys
from pathlib import Path
from champion.kernel import CODE_RECORD, code_record
record = code_record.install({CODE_RECORD: sys.argv[1]})
root = Path(sys.argv[2])
sys.path[:0] = [str(root), str(root / "archive.zip")]
import plain, bare, zipped, pack
exec((root / "elsewhere" / "pasted.py").read_text())
(root / "elsewhere" / "read.csv").read_text()
(root / "note.txt").read_text()
(root / "made.py").write_text("x = 1")
import made
import json, polars
record.write()
"""


def test_executed_code_is_recorded_unless_installed(tmp_path: Path) -> None:
    root = tmp_path / "code"
    texts = {
        "plain.py": "",
        "bare.py": "X = 1",
        "start/sitecustomize.py": "import early",
        "start/early.py": "",
        "pack/__init__.py": "from pathlib import Path\nX = (Path(__file__).parent / 'data/w.json').read_text()",
        "pack/data/w.json": "1",
        "elsewhere/pasted.py": "Y = 1",
        "elsewhere/read.csv": "a",
        "note.txt": "read from the folder of a module",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    py_compile.compile(str(root / "bare.py"), cfile=str(root / "bare.pyc"))
    (root / "bare.py").unlink()
    with zipfile.ZipFile(root / "archive.zip", "w") as archive:
        archive.writestr("zipped.py", "Z = 1")
    (work := tmp_path / "work").mkdir()
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "start"), *filter(None, sys.path)])}
    command: list[Any] = [sys.executable, "-c", RECORDS, tmp_path / "record.json", root]
    subprocess.run(command, env=variables, cwd=work, check=True)
    found = json.loads((tmp_path / "record.json").read_text())
    names = {os.path.relpath(path, root) for path in found["files"] if path.startswith(str(root))}
    expected = {"plain.py", "bare.pyc", "archive.zip", "pack/__init__.py", "elsewhere/pasted.py", "note.txt"}
    expected |= {"pack/data/w.json", "start/sitecustomize.py", "start/early.py", "elsewhere/read.csv"}
    assert names == expected
    assert not [path for path in found["files"] if "site-packages" in path or "/json/" in path]
    assert {"plain", "zipped", "polars", "made", "usercustomize"} <= set(found["asked"])


OWN = {
    "names/inner/deep.py": "import pathlib\nX = (pathlib.Path(__file__).parents[1] / 'w.json').read_text()",
    "names/w.json": "1",
    "pack/__init__.py": "try:\n    from . import local\nexcept ImportError:\n    pass\nfrom .core import *",
    "pack/core.py": """
import importlib, importlib.util, os, pathlib
import polars as pl
from importlib import resources
HERE = pathlib.Path(__file__).parent
def used():
    pl.read_csv(HERE / "table.csv")
    resources.files("pack").joinpath("conf/w.txt").read_text()
    for found in (HERE.parent / "plug").glob("*.py"):
        importlib.import_module(f"plug.{found.stem}")
    for name in ("optional_one", "probed"):
        if importlib.util.find_spec(name):
            break
    try:
        (HERE / "conf" / "override.toml").read_text()
    except OSError:
        pass
    return os.environ.get("THRESHOLD"), os.getenv("MISSING"), "API_TOKEN" in os.environ, os.environ["HOME"]
""",
    "pack/table.csv": "a\n1\n",
    "pack/conf/w.txt": "1",
    "pack/live.json": "1",
    "plug/one.py": "",
    "probed.py": "",
}
RECORDS_OWN = """
import os, sys
from pathlib import Path
from champion.kernel import CODE_RECORD, code_record
record = code_record.install({CODE_RECORD: sys.argv[1]})
import names.inner.deep, pack.core
pack.core.used()
live = Path(pack.core.__file__).with_name("live.json")
live.read_text()
if sys.argv[2] == "edit":
    os.system(f"echo 22 > {live}")
record.write()
"""
CHANGES: list[tuple[str, str | None, str]] = [
    ("names/w.json", "2", "names/w.json changed"),
    ("names/__init__.py", "", "module names is found elsewhere"),
    ("pack/table.csv", "a\n2\n", "pack/table.csv changed"),
    ("pack/conf/w.txt", "2", "pack/conf/w.txt changed"),
    ("pack/conf/w.txt", None, "pack/conf/w.txt changed"),
    ("pack/conf/override.toml", "", "pack/conf/override.toml changed"),
    ("pack/local.py", "", "module pack.local is found elsewhere"),
    ("pack/core/__init__.py", "", "module pack.core is found elsewhere"),
    ("plug/two.py", "", "plug/ changed"),
    ("optional_one.py", "", "module optional_one is found elsewhere"),
    ("probed.py", "X = 1", "probed.py changed"),
    ("pack/README.md", "prose", ""),
    ("pack/unused.py", "", ""),
    ("plug/__pycache__/two.pyc", "", ""),
    ("names/inner/.hidden", "", ""),
]


@pytest.fixture(scope="module")
def own_record(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, code_identity.Code]:
    """A folder of own code, and what a process used of it."""
    folder = tmp_path_factory.mktemp("own")
    return folder / "code", recorded_own(folder, "once")


def recorded_own(folder: Path, how: str) -> code_identity.Code:
    """Run a process that uses own code in every way, and return what it used."""
    for name, text in OWN.items():
        (folder / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "code" / name).write_text(text)
    (folder / "work").mkdir()
    path = os.pathsep.join([str(folder / "code"), *filter(None, sys.path)])
    variables = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command: list[Any] = [sys.executable, "-c", RECORDS_OWN, folder / "record.json", how]
    subprocess.run(command, env=variables, cwd=folder / "work", check=True)
    found = code_identity.used(Settings(home=folder), folder / "record.json", (folder / "code",), "")
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "text", "clause"), CHANGES, ids=[name for name, *_ in CHANGES])
def test_files_that_own_code_reads_or_misses_count_in_any_layout(
    own_record: tuple[Path, code_identity.Code], name: str, text: str | None, clause: str
) -> None:
    folder, code = own_record
    path = folder / name
    new = [one for one in path.parents if not one.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text(text) if text is not None else path.unlink()
        assert code_identity.changes(Settings(home=folder), code, (folder,)) == [clause] * bool(clause)
    finally:
        path.unlink(missing_ok=True)
        for one in new:
            one.rmdir()
        if name in OWN:
            path.write_text(OWN[name])
    assert code_identity.changes(Settings(home=folder), code, (folder,)) == []


def test_variables_read_by_own_code_count_unless_secret(
    own_record: tuple[Path, code_identity.Code], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, code = own_record
    assert set(code.variables) == {"THRESHOLD", "MISSING", "HOME"}
    again = code_identity.from_json(json.dumps(code_identity.to_json(code)).encode())
    assert again == code
    monkeypatch.setenv("THRESHOLD", "2")
    monkeypatch.setenv("API_TOKEN", "another")
    monkeypatch.setenv("UNREAD", "2")
    assert code_identity.changes(Settings(home=folder), code, (folder,)) == ["variable THRESHOLD changed"]


def test_file_written_during_the_run_counts_as_changed(tmp_path: Path) -> None:
    code = recorded_own(tmp_path, "edit")
    assert (tmp_path / "code/pack/live.json").read_text() == "22\n"
    changes = code_identity.changes(Settings(home=tmp_path), code, (tmp_path / "code",))
    assert changes == ["pack/live.json changed"]


def used(settings: Settings, folder: Path, sources: str, **files: str) -> code_identity.Code:
    heard: dict[str, str] = {}
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.write_text(text)
        heard[str(path)] = hashlib.sha256(text.encode()).hexdigest()
    record = folder / "record.json"
    record.write_text(json.dumps({"files": heard, "asked": sorted(files)}))
    found = code_identity.used(settings, record, (folder,), sources)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "mention",
    [
        "settings().gate_luck",
        "getattr(settings(), 'gate_luck')",
        "import os; os.environ['CHAMPION_GATE_LUCK']",
    ],
)
def test_settings_named_in_code_or_notebook_count(tmp_path: Path, mention: str) -> None:
    settings = Settings(home=tmp_path, gate_luck=0.1, notebook_timeout=5, holidays="2024-01-26")
    in_module, in_cell = used(settings, tmp_path, "print(1)", own=mention), used(settings, tmp_path, mention, own="")
    for code in (in_module, in_cell):
        assert code.settings == {"gate_luck": "0.1"}
        assert code_identity.changes(settings, code, (tmp_path,)) == [] or code is in_module
    own = used(settings, tmp_path, mention, own="x = 1")
    changed = settings.model_copy(update={"gate_luck": 0.2, "notebook_timeout": 6})
    assert code_identity.changes(changed, own, (tmp_path,)) == ["setting gate_luck is 0.2, was 0.1"]
    assert used(settings, tmp_path, "settings().closed", own="").settings == {"holidays": "2024-01-26"}
    places = "settings().home, settings().notebook_timeout, settings().warehouse_dsn, settings().lake"
    assert used(settings, tmp_path, places, own=places).settings == {}


def test_unrecorded_code_counts_as_changed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert code_identity.used(settings, tmp_path / "none.json", (), "") is None
    (tmp_path / "broken.json").write_text("{")
    assert code_identity.used(settings, tmp_path / "broken.json", (), "") is None
    assert code_identity.from_json(b"[]") is None

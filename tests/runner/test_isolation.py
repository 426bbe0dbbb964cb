"""A supervised run is isolated: no personal profile applies, output is limited, the outcome is recorded correctly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hostile import hostile_home
from hypothesis import given, strategies as st
from written import notebook

from champion.errors import NotebookError, ParameterError, UsageError
from champion.kernel.output_limit import MIB, OutputLimit
from champion.runner import NotebookRequest, Outcome, notebook as notebooks, run_detail, run_notebook
from champion.runner.limits import limited_log
from champion.settings import Settings, read as read_settings
from champion.tracking import run_spool, runs

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

LONE = "\udce9"  # what Python makes of a byte that is no UTF-8


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("isolation") / "home")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    return partial(notebook, tmp_path)


@pytest.fixture
def variables() -> Iterator[Callable[..., None]]:
    """A function that sets variables of this process for the test."""
    before = dict(os.environ)

    def put(**values: str) -> None:
        os.environ.update(values)

    yield put
    os.environ.clear()
    os.environ.update(before)


PROBE = """\
import os, sys
from pathlib import Path
import matplotlib
import matplotlib.pyplot as plt
from champion import report
from IPython import get_ipython
from IPython.paths import get_ipython_dir
from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir
1
shell = get_ipython()
report.publish(values={
    "state": "SECRET_STATE" in globals(),
    "print": print is __import__("builtins").print,
    "folder": Path.cwd().name,
    "interactivity": shell.ast_node_interactivity,
    "size": list(matplotlib.rcParams["figure.figsize"]),
    "places": [get_ipython_dir(), jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir()],
    "kept": [name for name in ("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT") if name in os.environ],
    "proxy": [os.environ.get("HTTP_PROXY"), os.environ["NO_PROXY"], os.environ["no_proxy"]],
})
"""


def test_personal_profiles_are_ignored(
    workspace: Settings, write: Callable[..., Path], tmp_path: Path, variables: Callable[..., None]
) -> None:
    variables(**hostile_home(tmp_path / "person"), HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="intranet")
    done = run_notebook(workspace, NotebookRequest(write("probe", "n: int = 1", PROBE)))
    found = dict(done.values)
    places = found.pop("places")
    assert found == {
        "state": False,
        "print": True,
        "folder": "work",
        "interactivity": "last_expr",
        "size": [6.4, 4.8],
        "kept": [],
        "proxy": ["http://127.0.0.1:9", *["intranet,127.0.0.1,localhost,::1"] * 2],
    }
    assert [place for place in places if not place.startswith(str(workspace.runs))] == []
    cell = json.loads(Path(done.saved).read_text())["cells"][1]
    assert len(cell["outputs"]) == 1  # 'all' would show the 1, too
    assert not any("private" in str(path) for path in workspace.home.rglob("*"))


LOUD = """\
import sys
from IPython.display import display, HTML, Markdown, update_display, clear_output
def shown(n):
    display({"text/plain": "y" * n}, raw=True)
"""
CELLS = {
    "printed": "while_printing = [print('x' * 200) for _ in range(50_000)]; None",
    "error stream": "sys.stderr.write('e' * 20_000_000); None",
    "escapes": "print('\\x1b[31mx\\x1b[0m' * 1_000_000)",
    "process": "import subprocess; _ = subprocess.run('yes | head -c 20000000', shell=True)",
    "forked": (
        "import os\nfor n in range(12):\n    if (child := os.fork()) == 0:\n"
        "        print('f' * 900_000); sys.stdout.flush(); os._exit(0)\n    _ = os.waitpid(child, 0)"
    ),
    "one display": "shown(20_000_000)",
    "result": "'z' * 20_000_000",
    "many displays": "for _ in range(5_000): shown(1)",
    "markup": "display(HTML('<b>b</b>' * 1_000_000)); display(Markdown('# m\\n' * 20_000))",
    "updates": (
        "handle = display('start', display_id=True)\n"
        "for n in range(300): handle.update({'text/plain': str(n) * 50_000}, raw=True)"
    ),
    "large updates": (
        "handle = display('start', display_id=True)\n"
        "for n in range(200): handle.update({'text/plain': chr(97 + n % 26) * 3_000_000}, raw=True)"
    ),
    "cleared": "for n in range(300):\n    clear_output(wait=True)\n    print('w' * 20_000, n)",
    "widgets": ("import ipywidgets\nfor n in range(200): _ = ipywidgets.HTML(value='q' * 100_000)"),
    "surrogates": f"print('caf{ascii(LONE)[1:-1]}'); display({{'text/plain': '{ascii(LONE)[1:-1]}'}}, raw=True)",
    "raised": f"raise ValueError('v{ascii(LONE)[1:-1]}' * 10_000_000)",
}
SUPERVISOR = """\
import resource, sys
from champion.runner import NotebookRequest, run_notebook
from champion.settings import Settings, read as read_settings
import champion.runner.engine, champion.runner.html_report
from champion.tracking import store
settings = Settings(home=sys.argv[1])
store.prepare(settings)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = run_notebook(settings, NotebookRequest(sys.argv[2], raise_on_failure=False))
print(done.run_id, done.outcome.value, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_endless_output_is_cut_and_supervisor_memory_stays_small(tmp_path: Path, write: Callable[..., Path]) -> None:
    settings = Settings(home=tmp_path / "home")
    path = write("loud", "n: int = 1", LOUD, *CELLS.values())
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}  # ipykernel asks
    variables = {**inherited, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(
        [sys.executable, "-c", SUPERVISOR, settings.home, path],
        capture_output=True,
        text=True,
        check=False,
        env=variables,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    run_id, outcome, grown = ran.stdout.split()[-3:]
    assert outcome == "failed"
    assert int(grown) < 400  # MiB; 800 MB of output passed by
    run = runs.get(settings, run_id)
    saved = Path(runs.location(run, "notebook/loud.ipynb"))
    cells = dict(zip(CELLS, json.loads(saved.read_text())["cells"][2:], strict=True))
    sizes = {name: len(json.dumps(cell["outputs"])) for name, cell in cells.items()}
    printed = {"printed", "error stream", "escapes", "process", "forked"}
    assert {name: size for name, size in sizes.items() if size > (7 if name in printed else 9) * MIB} == {}
    cut = {
        name for name, cell in cells.items() if "left out" in str(cell["outputs"]) or "cut here" in str(cell["outputs"])
    }
    assert cut | {"process", "forked"} == set(CELLS) - {"cleared", "markup", "surrogates", "updates", "large updates"}
    assert "a cell keeps 1 MiB of it" in str(cells["printed"]["outputs"])
    assert "299" in str(cells["cleared"]["outputs"])
    assert "caf?" in str(cells["surrogates"]["outputs"])
    assert run.tags["champion.error"].startswith(f"in cell {len(CELLS) + 2}: ValueError: v?v?")
    assert "ValueError" in run_detail.read(settings, run_id).error
    assert saved.stat().st_size < 40 * MIB
    assert saved.with_suffix(".html").stat().st_size < 120 * MIB
    log = Path(runs.location(run, "kernel.log"))
    assert log.stat().st_size < 2 * MIB
    assert "output cut here" in log.read_text()


MESSAGES = st.one_of(
    st.tuples(st.just("stream"), st.integers(0, 300)),
    st.tuples(st.sampled_from(["display_data", "execute_result"]), st.integers(0, 9000)),
    st.tuples(st.just("comm_msg"), st.integers(0, 9000)),
    st.tuples(st.sampled_from(["execute_input", "clear_output", "status"]), st.just(0)),
)


@given(st.lists(MESSAGES, max_size=60), st.integers(3_000, 30_000))
def test_kept_messages_stay_within_the_limits(messages: list[tuple[str, int]], whole: int) -> None:
    limit = OutputLimit(printed=200, displayed=8000, notebook=whole)
    cell = {"stream": 0, "display": 0, "comm": 0}
    total = notices = 0
    for kind, size in messages:
        content: dict[str, Any] = {"stream": {"name": "stdout", "text": "a" * size}, "comm_msg": {"d": "a" * size}}.get(
            kind, {"data": {"text/plain": "a" * size}, "metadata": {}, "transient": {}}
        )
        kept, notice = limit.admit(kind, content)
        notices += bool(notice)
        if kind == "execute_input":
            total += sum(cell.values())
        if kind in {"execute_input", "clear_output"}:
            cell, notices = dict.fromkeys(cell, 0), 0
        elif kind == "status":
            assert kept is content
        elif kept is not None:
            part = {"stream": "stream", "comm_msg": "comm"}.get(kind, "display")
            cell[part] += len(kept["text"]) if part == "stream" else size
        assert cell["stream"] <= 200
        assert max(cell["display"], cell["comm"]) <= 8000
        assert total + sum(cell.values()) <= whole
        assert notices <= 5


@pytest.mark.parametrize("text", ["a" * 99 + "\n" + "b" * 99, "é" * 150, "\n" * 300, "😀" * 60, LONE * 150])
def test_printed_text_is_cut_between_characters(text: str) -> None:
    kept, notice = OutputLimit(printed=101).admit("stream", {"name": "stdout", "text": text})
    assert kept is not None
    assert len(kept["text"].encode()) <= 101
    assert text.replace(LONE, "?").startswith(kept["text"])
    assert "a cell keeps" in notice


def test_log_keeps_its_beginning_and_marks_the_cut(tmp_path: Path) -> None:
    with limited_log(tmp_path / "log", 1000) as descriptor:
        subprocess.run(["sh", "-c", "yes line | head -c 5000000"], stdout=descriptor, check=True)
    text = (tmp_path / "log").read_text()
    assert text.startswith("line\n")
    assert text.endswith("line\n\n[output cut here: this log keeps 1 MiB]\n")
    assert len(text) < 1100
    with limited_log(tmp_path / "short") as descriptor:
        os.write(descriptor, b"all of it")
    assert (tmp_path / "short").read_bytes() == b"all of it"


@pytest.mark.parametrize(
    ("leave", "last", "outcome"),
    [
        ("import sys; sys.exit(0)", "# only prose follows", Outcome.SUCCEEDED),
        ("import sys; sys.exit(0)", "  ", Outcome.SUCCEEDED),
        ("import sys; sys.exit(0)", "print('never')", Outcome.FAILED),
        ("exit()", "  ", Outcome.SUCCEEDED),
        ("if n:\n    quit(0)", "print('never')", Outcome.FAILED),
        ("exit", "print('never')", Outcome.FAILED),
    ],
)
def test_exit_before_the_last_cell_fails(
    workspace: Settings, write: Callable[..., Path], leave: str, last: str, outcome: Outcome
) -> None:
    done = run_notebook(workspace, NotebookRequest(write("leaves", "n: int = 1", leave, last), raise_on_failure=False))
    assert done.outcome is outcome
    if outcome is Outcome.FAILED:
        assert "in cell 2: SystemExit: the cell ended the notebook by sys.exit() before its last cell" in str(
            done.error
        )


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}},
        {"kernelspec": {"name": "ir", "display_name": "R"}},
        {"kernelspec": {"name": "julia-1.9", "display_name": "Julia"}, "language_info": {"name": "julia"}},
        {"language_info": {"name": "scala"}},
        {"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}, "language_info": {"name": "R"}},
        {"kernelspec": {"name": ".net-csharp", "language": "C#"}},
        {"kernelspec": {"name": "bash", "language": "bash"}},
    ],
)
def test_a_notebook_of_another_language_is_refused(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = notebook(tmp_path, "other", "x <- 5")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metadata": metadata}))
    with pytest.raises(NotebookError, match="is a notebook for the kernel or language"):
        notebooks.find(path)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        {"kernelspec": {"name": "conda-env-mine", "display_name": "mine", "language": "python"}},
        {"language_info": {"name": "ipython", "version": "3.11"}},
        {"kernelspec": {}, "language_info": {}},
    ],
)
def test_python_notebook_is_accepted_under_any_kernel_name(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = notebook(tmp_path, "same", "x = 5")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metadata": metadata}))
    assert notebooks.find(path).parameters["x"].type == "int"


NAMES = [
    "it's",
    'a "quoted" name',
    "100% #1?",
    "-dash",
    ".hidden",
    "naïve 📈 हिन्दी",
    "two\nlines",
    "back\\slash",
    "a'b\"c`d",
]


def test_any_file_name_works(workspace: Settings, tmp_path: Path) -> None:
    """A kernel for the hardest name; for the others only the record, where names are searched and stored."""
    for name in NAMES:
        found = notebooks.find(notebook(tmp_path, name, "n: int = 1", "print(n)"))
        assert found.name == name
        entry = run_spool.begin(workspace, "names", name, tags={"champion.notebook": name, "champion.key": name * 3})
        (entry.artifacts / f"{notebooks.file_name(name)}.txt").write_text(name)
        run_id = run_spool.end(workspace, entry, run_spool.End("succeeded"))
        assert run_id is not None
        assert runs.read_file(workspace, run_id, f"{notebooks.file_name(name)}.txt") == name.encode()
    for name in NAMES:
        assert [run.name for run in runs.find_runs(workspace, ["names"], tags={"champion.notebook": name})] == [name]
        assert [run.name for run in runs.find_runs(workspace, tags={"champion.key": name * 3}, limit=1)] == [name]
        with pytest.raises(UsageError, match="there is no run"):
            runs.find(workspace, name)
    hardest = 'it\'s "100%" #1\n\\ 📈'
    path = notebook(tmp_path, hardest, "n: int = 1", "print(n)")
    given: dict[str, Any] = {"inputs": {"bars": "a"}}
    first, second = (run_notebook(workspace, NotebookRequest(path, **given)) for _ in range(2))
    assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SKIPPED)
    assert first.notebook == second.notebook == hardest
    assert Path(second.saved).is_file()
    assert Path(second.html).is_file()
    shown = run_detail.read(workspace, first.run_id)
    assert Path(shown.file(".html")).is_file()
    assert [cell.shown for cell in shown.cells] == ["", "1"]


def test_spooled_run_of_an_earlier_version_with_invalid_text_is_delivered(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    entry = run_spool.begin(settings, "notebooks", "longparam")
    begun = entry.folder / "begun.json"
    content = json.loads(begun.read_text()) | {"parameters": {"text": f"caf{LONE}"}, "run_id": None, "tags": {}}
    begun.write_text(json.dumps(content))
    (found,) = run_spool.entries(settings)
    run_id = run_spool.end(settings, found, run_spool.End("failed"))
    assert run_id is not None
    assert runs.get(settings, run_id).parameters == {"text": "caf?"}
    assert run_spool.entries(settings) == []


def test_a_setting_that_is_not_utf8_is_named(variables: Callable[..., None], tmp_path: Path) -> None:
    variables(CHAMPION_HOME=f"{tmp_path}/caf{LONE}")
    with pytest.raises(UsageError, match=r"CHAMPION_HOME: .*not UTF-8"):
        read_settings()


@given(st.text(min_size=1, max_size=300))
def test_file_names_of_notebooks_suit_any_store(name: str) -> None:
    made = notebooks.file_name(name)
    assert not set(made) & set('/\\#%?*:|"<>\n\r\t\0;&')
    assert made[0] not in " .-"
    assert len(f"{made}.ipynb".encode()) < 150
    assert notebooks.file_name(name) == made
    assert notebooks.file_name(f"{name}#") != made


def test_text_that_is_not_utf8_is_refused_before_the_run(
    workspace: Settings, write: Callable[..., Path], tmp_path: Path
) -> None:
    path = write("texts", "text: str = 'a'\nitems: list[str] = []\nmore: dict = {}", "print(text)")
    before = list(workspace.runs.glob("*"))
    for bad in ({"text": f"caf{LONE}"}, {"items": [LONE]}, {"more": {LONE: 1}}, {"more": {"a": [LONE]}}, {LONE: "a"}):
        with pytest.raises(ParameterError, match="UTF-8"):
            run_notebook(workspace, NotebookRequest(path, bad))
    refused: list[dict[str, Any]] = [
        {"tags": {"note": LONE}},
        {"tags": {LONE: "note"}},
        {"experiment": LONE},
        {"inputs": {LONE: "a"}},
        {"inputs": {"bars": LONE}},
    ]
    for how in refused:
        with pytest.raises(UsageError, match="UTF-8"):
            run_notebook(workspace, NotebookRequest(path, **how))
    misnamed = tmp_path / f"caf{LONE}.ipynb"
    misnamed.write_bytes(path.read_bytes())
    with pytest.raises(NotebookError, match="is not UTF-8: rename"):
        run_notebook(workspace, NotebookRequest(misnamed))
    cell = write("cell", "n: int = 1", "print(1)")
    cell.write_text(cell.read_text().replace("print(1)", "print('\\\\udce9')".replace("\\\\", "\\")))
    with pytest.raises(NotebookError, match="lone surrogate"):
        run_notebook(workspace, NotebookRequest(cell))
    assert list(workspace.runs.glob("*")) == before


def test_names_that_mlflow_refuses_are_refused_before_the_run(workspace: Settings, write: Callable[..., Path]) -> None:
    """Otherwise the run would stay in the spool for ever."""
    with pytest.raises(UsageError, match="the experiment has 501 characters, at most 500"):
        run_notebook(workspace, NotebookRequest(write("long", "n: int = 1"), experiment="x" * 501))

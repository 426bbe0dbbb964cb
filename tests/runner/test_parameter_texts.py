"""Texts as parameters: the notebook gets and the record shows the given text unchanged, or it is refused."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import example, given, strategies as st
from papermill.parameterize import parameterize_notebook
from written import notebook

from champion.base.strict_json import is_unicode
from champion.errors import ParameterError, UsageError
from champion.runner import NotebookRequest, Outcome, html_report, parameters, run_notebook
from champion.runner.outcome import Verdict
from champion.settings import Settings
from champion.tracking import runs

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

DECLARED = (
    "text: str = 'a'\nmany: list[str] = []\nmore: dict = {}\nwhole: int = 1\nshare: float = 1.0\nquick: bool = False"
)
PIECES = [
    *(
        "'",
        '"',
        "'''",
        '"""',
        "\\",
        "\\n",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "\0",
        "\x07",
        "\x1b[31m",
        "\x7f",
        "\x85",
        "\u2028",
    ),
    *("{x}", "{{7*7}}", "%s", "%%sql", "!ls", "?", "$(id)", "`id`", "${HOME}", "#", ";", "--", "=", ",", "[", "]", "{"),
    *("1", "01", "1e5", "0x10", "1_000", "-0", "NaN", "inf", "None", "null", "True", "false", "٣", "²", "½"),
    *(
        "é",
        "e\u0301",
        "हिन्दी",
        "العربية",
        "\u202e",
        "\ufeff",
        "\u200b",
        "📈",
        "👩\u200d👩\u200d👧",
        "\U0010ffff",
        "\ufffe",
    ),
    *(
        "\ud800",
        "\udce9",
        "\udfff",
        " ",
        "  ",
        "</script>",
        "&amp;",
        "<b>",
        "[/red]",
        "a" * 500,
        "import os\n",
        "://a:b@c",
    ),
]
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.text(st.characters(), max_size=40))


def book() -> Any:
    cell = nbformat.v4.new_code_cell(DECLARED, metadata={"tags": ["parameters"]})  # type: ignore[no-untyped-call]
    return nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {}})  # type: ignore[no-untyped-call]


@given(TEXTS)
@example("a" * 7000)
@example("caf\udce9")
def test_text_arrives_unchanged_or_is_refused(text: str) -> None:
    declared = parameters.read(DECLARED, "book")
    given = {"text": text, "many": [text, text], "more": {text: [text, {text: None}]}}
    refused = ""
    try:
        values = parameters.check(declared, given, "book")
        kept = runs.checked_parameters(values)
    except (ParameterError, UsageError) as error:
        refused = str(error)
        kept = {}
    if not kept:
        assert not is_unicode(text) or "password" in refused or "characters" in refused
        refused.encode()
        return
    assert is_unicode(text)
    assert values == given
    filled = parameterize_notebook(book(), values, kernel_name="python3", language="python")
    injected = next(cell.source for cell in filled.cells if "injected-parameters" in cell.metadata.tags)
    found = {one.targets[0].id: ast.literal_eval(one.value) for one in ast.parse(injected).body}
    assert found == given
    assert nbformat.reads(nbformat.writes(filled), as_version=4).cells == filled.cells  # type: ignore[no-untyped-call]
    assert kept["text"] == text
    assert [json.loads(kept[name]) for name in ("many", "more")] == [given["many"], given["more"]]
    json.dumps(kept).encode()
    heading = html_report._heading("book", "run", Verdict(Outcome.SUCCEEDED, 1.0), values, "")
    assert "<script" not in heading.lower().replace("&lt;script", "")
    heading.encode()


@given(TEXTS)
def test_command_line_text_becomes_a_value_of_the_declared_type(text: str) -> None:
    declared = parameters.read(DECLARED, "book")
    read = parameters.from_text(declared, dict.fromkeys(declared, text))
    assert read["text"] == text
    for name, kind in (("whole", int), ("share", float), ("quick", bool), ("many", list), ("more", dict)):
        try:
            value = parameters.check(declared, {name: read[name]}, "book")[name]
        except ParameterError as refused:
            str(refused).encode()
            continue
        assert type(value) is kind
        assert is_unicode(value)


def test_all_texts_pass_through_a_kernel(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    texts = [piece for piece in PIECES if is_unicode(piece) and "://" not in piece]
    says = "from champion import report; report.publish(values={'text': text, 'many': many, 'more': more})"
    given = {"text": "".join(texts), "many": texts, "more": {piece: piece for piece in texts}}
    done = run_notebook(settings, NotebookRequest(notebook(tmp_path, "says", DECLARED, says), given))
    assert done.values == given
    run = runs.get(settings, done.run_id)
    assert run.parameters["text"] == given["text"]
    assert json.loads(run.parameters["many"]) == texts
    Path(done.html).read_text()


def test_command_line_bytes_that_are_not_utf8_give_one_message_and_no_run(tmp_path: Path) -> None:
    path = notebook(tmp_path, "longparam", "text: str = 'a'", "print(text)")
    variables = {**os.environ, "CHAMPION_HOME": str(tmp_path / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command: list[Any] = [sys.executable, "-m", "champion", "notebook", "run", path, "-p", b"text=caf\xe9"]
    refused = subprocess.run(command, capture_output=True, env=variables, check=False)
    assert refused.returncode == ParameterError.exit_code
    assert b"Traceback" not in refused.stderr
    assert b"is not UTF-8" in b" ".join(refused.stderr.split())
    assert not list((tmp_path / "home").glob("runs/*"))

"""Defaults of a notebook that are computed: found in its source, and asked for before a run is skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from written import notebook

from champion.runner import NotebookRequest, Outcome, notebook as notebooks, parameters, run_notebook
from champion.settings import Settings

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

COMPUTED = [
    "import time\nx: str = time.strftime('%H')",
    "from datetime import date\nx: date = date.today()",
    "import datetime as dt\nx = dt.datetime.now()",
    "from pathlib import Path\nx: str = str(Path.cwd())",
    "import os\nx: str = os.environ['HOME']",
    "import random\nx: float = random.random()",
    "from mine import date\nx: str = date(2024, 1, 1)",
    "from datetime import date\nnow = date.today()\nx: date = now",
    "x: list = [i for i in range(3)]",
    "int = lambda text: text\nx: str = int('1')",
    "x: str = open('/etc/hostname').read()",
    "x: int = id(5)",
    "x: int = hash('a')",
]
CONSTANT = [
    "x: int = 5",
    "x: int = 60 * 60",
    "x: int = -1",
    "from datetime import date\nx: date = date(2024, 1, 1)",
    "import datetime\nx: str = datetime.date(2024, 1, 1)",
    "from datetime import date, timedelta\nday = date(2024, 1, 1)\nx: str = (day - timedelta(days=3)).isoformat()",
    "from datetime import date\nx: date = date.fromisoformat('2024-01-01')",
    "from pathlib import Path\nx = Path('a') / 'b'",
    "n = 3\nx: list[int] = [n, n * 2]",
    "x: dict = {'a': {1, 2}}",
    "x: str = f'{1 + 1}'",
    "x: int",
    "x: float = float('1.5') if True else 2.0",
]


@pytest.mark.parametrize("source", COMPUTED)
def test_computed_defaults_are_detected(source: str) -> None:
    assert parameters.read(source, "book")["x"].computed


@pytest.mark.parametrize("source", CONSTANT)
def test_literal_and_constructed_defaults_are_constant(source: str) -> None:
    assert not parameters.read(source, "book")["x"].computed
    assert parameters.undetermined(source) == []


@pytest.mark.parametrize(
    "source", ["import time\na, b = time.time(), 1", "print(1)", "if 1:\n    y = 2", "x = 1\nx += 1"]
)
def test_other_computed_statements_are_listed(source: str) -> None:
    assert len(parameters.undetermined(source)) == 1


def test_notebook_with_a_computed_default_is_skipped_only_with_a_given_value(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    book = notebook(tmp_path, "now", 'import time\nstamp: str = time.strftime("%H:%M:%S")\nn: int = 1', "print(stamp)")
    assert notebooks.find(book).computed({}) == ["stamp"]
    assert notebooks.find(book).computed({"stamp": "1"}) == []
    given: dict[str, Any] = {"inputs": {"bars": "a"}}
    outcomes = [run_notebook(settings, NotebookRequest(book, **given)) for _ in range(2)]
    assert [done.outcome for done in outcomes] == [Outcome.SUCCEEDED] * 2
    assert outcomes[1].reason == "because the value of stamp is computed by the notebook"
    fixed = [run_notebook(settings, NotebookRequest(book, {"stamp": "10:00:00"}, **given)) for _ in range(2)]
    assert [done.outcome for done in fixed] == [Outcome.SUCCEEDED, Outcome.SKIPPED]

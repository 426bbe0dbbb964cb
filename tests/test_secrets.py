"""Secrets: known by their names and by the addresses they stand in, and masked in whatever a notebook leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import SecretStr, ValidationError
from written import notebook

from champion.errors import NotebookError, UsageError
from champion.masking import masked, secrets
from champion.runner import run_notebook
from champion.settings import Settings
from champion.sources import transport
from champion.tracking import runs

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

DSN = "clickhouse://quant:it%27s%2FPlant3d@127.0.0.1:9/champion_market"
HOOK = "http://127.0.0.1:9/hooks/Plant3d-token"
KEY = 'Plant3d "key"\\with\\\'all'
SAYS = """\
import os
from champion.workspace import settings
print(settings(), dict(os.environ))
os.write(2, os.environ["A_TOKEN"].encode())
{"text": settings().warehouse_dsn.get_secret_value(), "list": [os.environ["A_TOKEN"]]}
"""
PUBLISHES = """\
from champion import report
report.publish(values={"said": [os.environ["A_TOKEN"]]}, metrics={"rows": 1})
"""
RAISES = """\
from champion.workspace import settings
raise OSError(f"nobody at {settings().notify_url.get_secret_value()}, {settings().warehouse_dsn.get_secret_value()}")
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("A_TOKEN", KEY)
    return Settings(home=tmp_path / "home", warehouse_dsn=SecretStr(DSN), notify_url=SecretStr(HOOK))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    return partial(notebook, tmp_path)


def holding(folder: Path) -> list[str]:
    """Return the files that hold what was planted."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and b"Plant3d" in path.read_bytes()]


def test_what_a_notebook_says_publishes_or_raises_is_kept_without_secrets(
    planted: Settings, write: Callable[..., Path]
) -> None:
    said = run_notebook(planted, write("says", "n: int = 1", SAYS, PUBLISHES))
    assert said.values == {"said": ["***"]}
    assert Path(said.saved).parent.parent.joinpath("kernel.log").read_text() == "***"
    cell = json.loads(Path(said.saved).read_text())["cells"][1]
    assert [output["output_type"] for output in cell["outputs"]] == ["stream", "execute_result"]
    assert "warehouse_dsn=SecretStr('**********')" in "".join(cell["outputs"][0]["text"])
    with pytest.raises(NotebookError, match=r"OSError: nobody at \*\*\*, \*\*\*\. Saved as"):
        run_notebook(planted, write("raises", "n: int = 1", RAISES))
    failed = runs.find_runs(planted, tags={"champion.notebook": "raises"})[0]
    assert failed.tags["champion.error"] == "in cell 2: OSError: nobody at ***, ***"
    assert "nobody at ***" in Path(runs.location(failed, "notebook/raises.html")).read_text()
    assert holding(planted.home) == []


@settings(max_examples=50)
@given(st.text(st.characters(exclude_characters="*"), min_size=6, max_size=40))
def test_no_spelling_of_a_secret_is_left(secret: str) -> None:
    known = secrets({"API_TOKEN": secret})
    for spelt in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], escape(secret), quote(secret)):
        assert spelt not in masked(f"{{'token': '{spelt}'}}", known)


def test_what_is_no_secret_stays() -> None:
    known = secrets({"HOME": "/home/asha", "CHAMPION_TRACKING_URI": "https://mlflow.example/x", "TOKEN": "short"})
    assert known == ()
    assert masked("/home/asha at https://mlflow.example/x", known) == "/home/asha at https://mlflow.example/x"


@pytest.mark.parametrize("address", ["ftp://me:Plant3d@h/x", "https://Plant3d@h/x", "file://me:Plant3d@h/x"])
def test_an_archive_with_credentials_is_refused_without_repeating_them(address: str) -> None:
    with pytest.raises(UsageError, match="credentials") as caught:
        transport.known(address)
    assert "Plant3d" not in str(caught.value)
    with pytest.raises(ValidationError, match="credentials") as refused:
        Settings(archive=address)
    assert "Plant3d" not in str(refused.value)


@pytest.mark.parametrize("name", ["warehouse_dsn", "tracking_uri", "prefect_database_url", "promotion_webhook"])
def test_an_address_that_libraries_would_quote_in_part_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="%2F") as caught:
        Settings.model_validate({name: "clickhouse://quant:Plant3d/x@host:8123/db"})
    assert "Plant3d" not in str(caught.value)

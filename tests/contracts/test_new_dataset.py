"""A new dataset needs four files by hand: contract, source, normalization, declaration. Commands write the others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from champion import contracts, warehouse
from champion.contracts import datasets, draft
from champion.errors import UsageError
from champion.pipeline.ingest.datasets import DATASET_SPECS
from champion.pipeline.maintenance.draft_dataset import draft_feature_set
from champion.settings import Settings
from champion.sources import full_bhavcopy, indices
from champion.warehouse import migrations, table_draft
from champion.warehouse.engine.statements import split

ROOT = Path(__file__).resolve().parents[2]
SESSION = date(2022, 5, 4)
BAR = "20MICRONS, EQ, 04-May-2022, 83.05, 84.70, 84.70, 77.55, 80.75, 79.90, 81.29, 207894, 169.00, 4916, 110453, 53.13"
NIFTY = "Nifty 50,04-05-2022,17096.6,17132.85,16623.95,16677.6,-391.5,-2.29,330712400,29123.52,20.17,4.22,1.25"
DEALS = "DATE,SYMBOL,CLIENT,QUANTITY,PRICE\n2022-05-04,TCS,A FUND,1000,3456.5\n2022-05-04,INFY,B FUND,500,1600\n"
SOURCE = '''"""Block deals of a session."""

from functools import partial

from champion.sources import table
from champion.sources.parse import read
from champion.sources.table import Format, Publication

COLUMNS = ("DATE", "SYMBOL", "CLIENT", "QUANTITY", "PRICE")


def parse(lines, session):
    return table.read("nse_block_deals", lines, COLUMNS, len(COLUMNS))


FORMAT = Format("nse_block_deals", (",".join(COLUMNS),), "DATE", parse)
BLOCK_DEALS = Publication("block deals", lambda session: [f"deals/{session}.csv"], partial(read, formats=(FORMAT,)))
'''
MARKET = '''"""Normalize block deals."""

from champion import contracts
from champion.market.envelope import normalize_rows

VERSION = "1"


def normalize(raw, names):
    columns = {"trade_date": "DATE", "symbol": "SYMBOL", "client": "CLIENT", "volume": "QUANTITY", "price": "PRICE"}
    return normalize_rows(raw, contracts.load("normalized_block_deals"), "symbol", **columns)
'''
FIELDS = [
    {"name": "trade_date", "type": {"type": "int", "logicalType": "date"}, "doc": "The session."},
    {"name": "symbol", "type": "string", "doc": "Ticker symbol on the session."},
    {"name": "client", "type": "string", "doc": "Buyer or seller."},
    {"name": "volume", "type": "long", "unit": "share", "doc": "Shares of the deal."},
    {"name": "price", "type": "double", "unit": "rupee", "doc": "Price of the deal."},
]
RUN = """
from datetime import date
from pathlib import Path
from champion.lake import Lake
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.maintenance.load_warehouse import load
from champion import workspace
settings, day = workspace.settings(), date(2022, 5, 4)
fetch(settings, day, day)
ingest(Lake(settings.lake), staged(settings, day, day)).require_complete()
load(settings, date(2022, 5, 1), date(2022, 5, 31))
print(workspace.scan("normalized_block_deals").select("symbol", "volume", "price").collect().rows())
print(workspace.sql("select symbol, volume, price from normalized_block_deals order by symbol").rows())
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code with a dataset of block deals, declared by hand in four files."""
    copy = tmp_path / "checkout"
    for name in ("champion", "schemas", "sql"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    record = json.loads((ROOT / "schemas/normalized_equity_delivery_v1.avsc").read_text())
    record |= {
        "name": "normalized_block_deals", "dataset": "block_deals", "key": ["trade_date", "symbol", "client"],
        "sort_by": ["symbol", "client"], "rules": {"price_is_positive": "price > 0"},
        "fields": [*record["fields"][:6], *FIELDS],
    }  # fmt: skip
    (copy / "schemas/normalized_block_deals_v1.avsc").write_text(draft.text(record))
    (copy / "champion/sources/block_deals.py").write_text(SOURCE)
    (copy / "champion/market/block_deals.py").write_text(MARKET)
    declared = copy / "champion/pipeline/ingest/datasets.py"
    text = declared.read_text().replace(
        "    DatasetSpec(BSE_BHAVCOPY, *_BARS),\n",
        '    DatasetSpec(BSE_BHAVCOPY, *_BARS),\n    DatasetSpec(BLOCK_DEALS, "block_deals", ("SYMBOL", "CLIENT"), '
        "block_deals.normalize, block_deals.VERSION, None),\n",
    )
    imports = "from champion.market import block_deals\nfrom champion.sources.block_deals import BLOCK_DEALS\n"
    declared.write_text(text.replace("import polars as pl\n", f"import polars as pl\n\n{imports}", 1))
    return copy


def test_commands_write_what_follows_from_the_declaration(checkout: Path, tmp_path: Path) -> None:
    file = tmp_path / "archive/deals/2022-05-04.csv"
    file.parent.mkdir(parents=True)
    file.write_text(DEALS)
    bars = tmp_path / "archive/products/content/sec_bhavdata_full_04052022.csv"
    bars.parent.mkdir(parents=True)
    bars.write_text("\n".join([*full_bhavcopy.HEADERS, BAR, ""]))
    surroundings = {"CHAMPION_HOME": str(tmp_path / "home"), "CHAMPION_ARCHIVE": str(tmp_path / "archive")}

    def python(*arguments: str, code: int = 0) -> str:
        ran = subprocess.run(
            [sys.executable, "-P", *arguments],
            capture_output=True, text=True, cwd=tmp_path, check=False,
            env={"PYTHONPATH": str(checkout), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **surroundings},
        )  # fmt: skip
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr * bool(code)

    command = ("-m", "champion", "schema", "draft", "block_deals", str(file), "2022-05-04", "--json")
    contract = checkout / "schemas/normalized_block_deals_v1.avsc"
    contract.rename(tmp_path / contract.name)
    assert "write schemas/normalized_block_deals_v1.avsc first" in python(*command, code=2)
    (tmp_path / contract.name).rename(contract)
    first, second, third = (json.loads(python(*command))["written"] for _ in range(3))
    assert first == ["raw_block_deals_v1.avsc", "quarantine_block_deals_v1.avsc"]
    samples = [f"{layer}_block_deals_v1.0.0.json" for layer in ("raw", "normalized", "quarantine")]
    number = len(list((ROOT / "sql/migrations").glob("*.sql"))) + 1
    assert second == [*samples, f"{number:04d}_normalized_block_deals.sql"]
    assert third == []
    assert python("-c", RUN).splitlines() == ["[('INFY', 500, 1600.0), ('TCS', 1000, 3456.5)]"] * 2


def test_a_dataset_without_a_file_is_an_error() -> None:
    with pytest.raises(UsageError, match="needs a published file: champion schema draft index_ohlc FILE SESSION"):
        draft_feature_set("index_ohlc")


def test_drafted_raw_contract_has_the_types_that_reviewers_chose() -> None:
    session = date(2022, 5, 4)
    published = indices.INDEX_CLOSES.read("x.csv", f"{indices.HEADERS[0]}\n{NIFTY}\n".encode(), session)
    record = draft.raw_record("index_ohlc", published.rows, "Index_Date", ["Index_Name"])
    reviewed = json.loads((ROOT / "schemas/raw_index_ohlc_v1.avsc").read_text())
    drafted = {field["name"]: field["type"] for field in record["fields"]}
    assert drafted == {field["name"]: field["type"] for field in reviewed["fields"]}
    assert (record["key"], record["session"]) == (reviewed["key"], reviewed["session"])


@pytest.mark.parametrize("name", sorted({spec.dataset for spec in DATASET_SPECS}))
def test_drafted_quarantine_is_the_stored_one(name: str) -> None:
    stored = json.loads((ROOT / f"schemas/quarantine_{name}_v1.avsc").read_text())
    assert draft.quarantine_record(name) | {"doc": ""} == stored | {"doc": ""}


def test_drafted_tables_are_those_of_the_migrations_but_for_their_tuning(fresh: Settings) -> None:
    differing = dict[str, set[str]]()
    with warehouse.writer(fresh) as client:
        for name in migrations.datasets():
            (statement,) = split(table_draft.draft(contracts.load(name)))
            client.command(statement.replace(f".{name}\n", f".drafted_{name}\n", 1))
            stored, drafted = (
                {
                    line.strip(" ,")
                    for line in str(client.query(f"show create table {table}").result_rows[0][0]).split("\n")
                }
                for table in (f"champion_market.{name}", f"champion_market.drafted_{name}")
            )
            lines = {line for line in stored ^ drafted if not line.startswith("CREATE TABLE")}
            differing |= {name: {line.partition(" ")[0] for line in lines}} if lines else {}
    # Bars have indices and a default that the specification asks for; findings and quarantine are read by session.
    tuned = {"ENGINE", "ORDER", "PARTITION", "SETTINGS"}
    assert differing == {
        datasets.RAW_BARS: {"INDEX", "ORDER"},
        datasets.BARS: {"INDEX", "`adjustment_factor`"},
        datasets.PREDICTIONS: {"ORDER"},
        datasets.QUARANTINED_BARS: tuned,
        datasets.FINDINGS: tuned - {"ENGINE"},
    }

"""One registry of datasets: every list of datasets follows from contracts and migrations."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from champion import contracts
from champion.contracts import datasets
from champion.pipeline.ingest.datasets import DATASET_SPECS
from champion.pipeline.maintenance.load_warehouse import DATASETS
from champion.settings import Settings
from champion.warehouse import migrations, retention

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = ROOT / "champion/contracts/datasets.py"
NEW = "normalized_block_deals"


def test_every_constant_of_the_registry_names_a_contract() -> None:
    named = {value for name, value in vars(datasets).items() if name.isupper() and isinstance(value, str)}
    assert named <= set(contracts.names())


def test_warehouse_holds_the_datasets_whose_tables_migrations_create() -> None:
    in_lake_only = {"raw_equity_delivery", "raw_index_ohlc", "quarantine_equity_delivery", "quarantine_index_ohlc"}
    in_lake_only |= {datasets.ACCEPTANCES, *(f"{name}_state" for name in datasets.feature_datasets())}
    constants = {value for name, value in vars(datasets).items() if name.isupper() and isinstance(value, str)}
    assert migrations.datasets() == DATASETS
    assert len(DATASETS) == len(set(DATASETS))
    assert {*constants, *datasets.feature_datasets()} - in_lake_only <= set(DATASETS) <= set(contracts.names())
    assert in_lake_only.isdisjoint(DATASETS)


def test_years_of_tables_follow_from_their_layers() -> None:
    settings = Settings(home="x", raw_years=7, normalized_years=5, features_years=3)
    years = retention.years_by_table(settings, DATASETS)
    expected = {
        "raw_equity_ohlc": 7,
        "quarantine_equity_ohlc": 7,
        "normalized_equity_ohlc": 5,
        "normalized_equity_delivery": 5,
        "normalized_index_ohlc": 5,
        "quality_findings": 5,
        "features_equity_indicators": 3,
        "features_equity_alpha158": 3,
        "features_equity_technical": 3,
    }
    assert {name: years.get(name) for name in expected} == expected
    assert years.keys().isdisjoint({datasets.PREDICTIONS, datasets.FACTORS, *datasets.PUBLISHED_LISTS})


def test_published_lists_are_lists_and_factors_are_derived() -> None:
    lists = {name for name in contracts.names() if datasets.is_list(name)}
    assert lists == {*datasets.PUBLISHED_LISTS, datasets.FACTORS}


def test_publications_fill_datasets_with_contracts() -> None:
    assert {name for spec in DATASET_SPECS for name in spec.names} <= set(contracts.names())
    assert DATASET_SPECS[0].names == (datasets.RAW_BARS, datasets.QUARANTINED_BARS, datasets.BARS)


def test_contract_and_migration_are_enough_for_a_new_dataset(tmp_path: Path) -> None:
    record = json.loads((ROOT / f"schemas/{datasets.DELIVERY}_v1.avsc").read_text())
    (tmp_path / f"{NEW}_v1.avsc").write_text(json.dumps(record | {"name": NEW, "dataset": "block_deals"}))
    shutil.copytree(ROOT / "sql/migrations", tmp_path / "sql")
    number = len(migrations.shipped()) + 1
    (tmp_path / f"sql/{number:04d}_{NEW}.sql").write_text(f"create table if not exists champion_market.{NEW}\n(a Int8)")
    code = f"""
from pathlib import Path
from champion import contracts
from champion.settings import Settings
from champion.warehouse import migrations, retention
contracts.add_search_path(Path({str(tmp_path)!r}))
tables = migrations.datasets(Path({str(tmp_path / "sql")!r}))
years = retention.years_by_table(Settings(home="x", normalized_years=4), tables)
print({NEW!r} in contracts.names(), {NEW!r} in tables, years[{NEW!r}])
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["True", "True", "4"]


def test_a_name_that_several_modules_use_comes_from_the_registry() -> None:
    users, known = defaultdict[str, set[Path]](set), set(contracts.names())
    for path in [*(ROOT / "champion").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known:
                users[node.value].add(path)
    assert {name: paths for name, paths in users.items() if paths != {REGISTRY} and len(paths) > 1} == {}

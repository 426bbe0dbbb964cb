"""One registry of datasets: every list of datasets follows from contracts and migrations."""

from __future__ import annotations

import ast
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


def test_published_lists_are_lists_and_the_others_are_derived_from_them() -> None:
    lists = {name for name in contracts.names() if datasets.is_list(name)}
    derived = {datasets.FACTORS, datasets.INDEX_MEMBERS, datasets.SECTORS, datasets.CONTRADICTIONS}
    assert lists == {*datasets.PUBLISHED_LISTS, *derived, datasets.LIST_DECISIONS, datasets.REFUSED_LISTS}


def test_publications_fill_datasets_with_contracts() -> None:
    assert {name for spec in DATASET_SPECS for name in spec.names} <= set(contracts.names())
    assert DATASET_SPECS[0].names == (datasets.RAW_BARS, datasets.QUARANTINED_BARS, datasets.BARS)


def test_a_name_that_several_modules_use_comes_from_the_registry() -> None:
    users, known = defaultdict[str, set[Path]](set), set(contracts.names())
    for path in [*(ROOT / "champion").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known:
                users[node.value].add(path)
    assert {name: paths for name, paths in users.items() if paths != {REGISTRY} and len(paths) > 1} == {}

"""`docs/sql.md` lists the objects of the warehouse and every named query."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from champion import warehouse
from champion.settings import Settings
from champion.warehouse import queries

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
STATEMENTS = PAGE.partition("## The original statements")[2].partition("\n## ")[0]
VERDICTS = [line.strip("| ").split(" | ") for line in STATEMENTS.splitlines() if line.startswith("| ")][1:]
# Every object that the specification creates.
SPECIFIED = {
    "raw_equity_ohlc": "table", "normalized_equity_ohlc": "table", "features_equity_indicators": "table",
    "symbol_master": "table", "equity_ohlc_daily_summary": "view", "equity_volume_leaders": "view",
}  # fmt: skip
# Every SQL statement of the specification, in order, and every changed clause of a definition.
ORIGINAL = (
    "create database champion_market", "create table raw_equity_ohlc", "create index idx_isin`",
    "create table normalized_equity_ohlc", "idx_isin_norm", "idx_volume", "create table features_equity_indicators",
    "create table symbol_master", "create unique index idx_symbol_exchange",
    "create materialized view equity_ohlc_daily_summary", "create materialized view equity_volume_leaders",
    "insert into raw_equity_ohlc select * from file(", "insert into normalized_equity_ohlc select * from file(",
    "insert into normalized_equity_ohlc format JSONEachRow", "insert_df(", "set max_threads", "max_execution_time",
    "optimize_read_in_order", "max_memory_usage", "set use_query_cache", "query_cache_ttl", "freeze partition",
    "attach partition '202401' from", "create role analyst", "grant select`", "create role pipeline_writer",
    "grant select, insert", "create role data_admin", "grant all", "create user analyst_user",
    "grant analyst to analyst_user", "create user pipeline_service", "grant pipeline_writer to pipeline_service",
    "set log_queries", "log_query_threads", "from system.query_log", "prewhere", "sample 0.1", "interval 5 year",
    "3 year", "1 year", "partition by toYYYYMM", "index_granularity = 8192",
)  # fmt: skip


def test_every_original_statement_has_verdict_and_reason() -> None:
    assert [words for words in ORIGINAL if not any(words in row[0] for row in VERDICTS)] == []
    for row in VERDICTS:
        assert row[1] in {"created", "corrected", "refused"}, row[0]
        assert len(row[2]) > 20, row[0]


@pytest.mark.parametrize("name", SPECIFIED)
def test_specified_objects_exist_and_are_on_the_page(loaded: Settings, name: str) -> None:
    assert any(f"{SPECIFIED[name]} {name}`" in row[0] for row in VERDICTS)
    assert warehouse.sql(loaded, f"exists champion_market.{name}").item() == 1


def test_every_name_on_the_page_exists(loaded: Settings) -> None:
    there = set(warehouse.sql(loaded, "show tables from champion_market")["name"])
    named = set(re.findall(r"`champion_market\.(\w+)`", PAGE))
    assert named <= there
    assert len(named) > 8
    files = set(re.findall(r"`(sql/[\w/]+\.sql)`", PAGE))
    assert len(files) > 7
    assert all((ROOT / file).is_file() for file in files)
    indices = set(warehouse.sql(loaded, "select name from system.data_skipping_indices")["name"])
    assert {name for name in re.findall(r"`[^`]*?(idx_\w+)`", PAGE) if name != "idx_symbol_exchange"} <= indices


def test_every_named_query_is_on_the_page_with_its_answer() -> None:
    on_page = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE))
    assert on_page == {name: queries.load(name).answers for name in queries.names()}

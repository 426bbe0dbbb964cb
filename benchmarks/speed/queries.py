"""Measure warehouse queries, during loads and alone, and the same queries in DuckDB and Polars on the lake's files.

The simulated market has 20 years of 2,000 instruments (10 million bars) and 250 sessions of features for 2,500. The
bars are in the lake as sealed years, and in the warehouse, where another process corrects the last month again and
again. Queries use `champion.warehouse.sql`, like `ch.sql`; the time to open a new snapshot after a commit is included.
DuckDB and Polars read the sealed files and must return the same results.

`--duckdb PYTHON` names an interpreter with duckdb (`pip install duckdb`, in its own environment).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import meter
from benchmarks.speed import big_market, questions
from champion import contracts, warehouse
from champion.contracts import storage
from champion.settings import Settings
from champion.warehouse import adjustment_cache

Asked = list[tuple[str, dict[str, Any]]]
Took = tuple[float, float, int, float]  # seconds of wall and CPU, rows, the sum of the closes
LAST = date(2025, 12, 31)
FEATURE_SESSIONS, FEATURE_NAMES = 250, 2500
_ROW_GROUP = 16 * 1024  # as champion/lake/compaction.py
_LOADER = Path(__file__).with_name("correcting_loader.py")


def main() -> None:
    """Make the market, ask, print."""
    given = meter.arguments(
        __doc__, sessions=5000, instruments=2000, questions=1000, peer_questions=200, duckdb=str, json=Path
    )
    with tempfile.TemporaryDirectory(prefix="champion-queries-") as folder:
        report = measure(Path(folder), given)
    meter.write_json(given.json, report)


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Return every table that is printed."""
    days, names = big_market.sessions(LAST, given.sessions), big_market.symbols(given.instruments)
    late = days[-FEATURE_SESSIONS:]
    files = _files(folder / "lake", days, names, late)
    settings = Settings(home=folder / "home")
    _fill(settings, files, days, names)
    symbols, market = (
        questions.ranges(given.questions, names, days),
        questions.aggregations(given.questions, days, late),
    )
    asked = {"bars of a symbol": symbols, "market": market}
    report: dict[str, Any] = {"bars": len(days) * len(names), "features": len(late) * FEATURE_NAMES}
    print(f"{report['bars']:,} bars, {report['features']:,} rows of features")
    report["beside a loader"] = _beside_a_loader(settings, folder, asked)
    warehouse.close()
    report["alone"] = {name: ask_warehouse(settings, some) for name, some in asked.items()}
    report["adjusted"] = _adjusted(settings, symbols[: given.peer_questions])
    few = {name: some[: given.peer_questions] for name, some in asked.items()}
    report["polars"] = {name: ask_polars(files, some) for name, some in few.items()}
    if given.duckdb:
        report["duckdb"] = {name: ask_duckdb(given.duckdb, files, some) for name, some in few.items()}
    _agree(report, given.peer_questions)
    _print(report, market)
    return report


def _files(lake: Path, days: Sequence[date], names: Sequence[str], late: Sequence[date]) -> dict[str, list[Path]]:
    """Write the market as sealed years of the lake: zstd, by symbol and session, row groups of 16,384."""
    found: dict[str, list[Path]] = {"bars": [], "features": []}
    wide = big_market.symbols(FEATURE_NAMES)
    for year in sorted({day.year for day in days}):
        of_year = [day for day in days if day.year == year]
        made = {"bars": (big_market.BARS, big_market.bars(of_year, names))}
        if with_features := [day for day in of_year if day in late]:
            made["features"] = (big_market.FEATURES, big_market.features(with_features, wide))
        for kind, (name, frame) in made.items():
            path = lake / kind / f"{year}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            contract = contracts.load(name)
            ordered = contract.conform(frame).sort("symbol", "trade_date")
            storage.write(ordered, contract, path, compression="zstd", row_group_size=_ROW_GROUP)
            found[kind].append(path)
    return found


def _fill(settings: Settings, files: dict[str, list[Path]], days: Sequence[date], names: Sequence[str]) -> None:
    """Fill the warehouse year by year."""
    with warehouse.writer(settings) as client:
        warehouse.migrate(client)
        for kind, name in (("bars", big_market.BARS), ("features", big_market.FEATURES)):
            contract = contracts.load(name)
            typed = ", ".join(f"`{n}` {t}" for n, t in contract.clickhouse_columns.items()).replace("'", "\\'")
            columns = ", ".join(contract.clickhouse_columns)
            for path in files[kind]:
                source = f"file('{path}', Parquet, '{typed}')"
                client.command(f"insert into {name} ({columns}) select * from {source}")  # noqa: S608 - our own names
            client.command(f"optimize table {name} final")
        splits = big_market.splits(days, names)
        warehouse.load_month(client, contracts.load(big_market.FACTORS), LAST, splits, "1")
        adjustment_cache.refresh(client)


def _beside_a_loader(settings: Settings, folder: Path, asked: dict[str, Asked]) -> dict[str, list[Took]]:
    command = [sys.executable, str(_LOADER), str(settings.home), str(folder / "loads")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as loader:
        try:
            if loader.stdout is None or not loader.stdout.readline():
                raise RuntimeError("the loader did not start")
            answers = {name: ask_warehouse(settings, some) for name, some in asked.items()}
        finally:
            loader.terminate()
    print(f"the loader committed {len((folder / 'loads').read_text().splitlines())} times meanwhile")
    return answers


def ask_warehouse(settings: Settings, asked: Asked) -> list[Took]:
    """Ask as `ch.sql` does."""
    return [
        _timed(lambda text=questions.KINDS[kind].clickhouse, p=bound: warehouse.sql(settings, text, p))  # type: ignore[misc]
        for kind, bound in asked
    ]


def ask_polars(files: dict[str, list[Path]], asked: Asked) -> list[Took]:
    """Run the queries in Polars, lazily, on the sealed files."""
    bars = storage.scan(files["bars"], contracts.load(big_market.BARS))
    features = storage.scan(files["features"], contracts.load(big_market.FEATURES))
    return [
        _timed(lambda plan=questions.KINDS[kind].polars, p=bound: plan(bars, features, p).collect())  # type: ignore[misc]
        for kind, bound in asked
    ]


def ask_duckdb(python: str, files: dict[str, list[Path]], asked: Asked) -> list[Took]:
    """Run the queries in DuckDB on the same files, in its own process."""
    sent = {
        "files": {name: [str(path) for path in paths] for name, paths in files.items()},
        "questions": [(questions.KINDS[kind].duckdb, {n: str(v) for n, v in p.items()}) for kind, p in asked],
    }
    peer = Path(__file__).with_name("duckdb_peer.py")
    done = subprocess.run([python, str(peer)], input=json.dumps(sent), capture_output=True, text=True, check=True)
    return [tuple(answer) for answer in json.loads(done.stdout)["answers"]]


def _timed(ask: Callable[[], pl.DataFrame]) -> Took:
    began, cpu = time.perf_counter(), time.process_time()
    answer = ask()
    return time.perf_counter() - began, time.process_time() - cpu, answer.height, float(answer["close"].sum())


def _adjusted(settings: Settings, asked: Asked) -> list[Took]:
    """Query a year of adjusted bars of one symbol."""
    text = questions.HISTORY.clickhouse.replace("equity_ohlc", "equity_adjusted")
    bounds = [p | {"end": min(LAST, p["start"].replace(day=1, year=p["start"].year + 1))} for _, p in asked]
    return [_timed(lambda p=p: warehouse.sql(settings, text, p)) for p in bounds]  # type: ignore[misc]


def _agree(report: dict[str, Any], count: int) -> None:
    """Raise RuntimeError if two engines return different results."""
    for name, alone in report["alone"].items():
        for peer in ("polars", "duckdb"):
            for mine, theirs in zip(alone[:count], report.get(peer, {}).get(name, ()), strict=False):
                if mine[2] != theirs[2] or abs(mine[3] - theirs[3]) > 1e-6 * abs(mine[3]):
                    raise RuntimeError(f"{name}: the warehouse answers {mine[2:]}, {peer} {theirs[2:]}")


def _print(report: dict[str, Any], market: Asked) -> None:
    rows = []
    for engine, label in (("beside a loader", "warehouse, loader beside"), ("alone", "warehouse"),
                          ("duckdb", "DuckDB on the lake"), ("polars", "Polars on the lake")):  # fmt: skip
        for name, took in report.get(engine, {}).items():
            rows.append([f"{name}: {label}", len(took), *percentiles(took)])
    rows.append(["a year of a symbol, adjusted", len(report["adjusted"]), *percentiles(report["adjusted"])])
    for kind in questions.AGGREGATES:
        took = [t for t, (name, _) in zip(report["alone"]["market"], market, strict=True) if name == kind.name]
        rows.append([f"  {kind.name}", len(took), *percentiles(took)])
    meter.print_table("milliseconds", ["question", "asked", "P50", "P95", "P99", "CPU mean"], rows)


def percentiles(took: Sequence[Took]) -> list[float]:
    """Return P50, P95 and P99 of the wall time and the mean CPU time, in milliseconds."""
    wall = pl.Series([t[0] for t in took])
    seconds = [float(wall.quantile(q, "nearest") or 0) for q in (0.5, 0.95, 0.99)]
    return [round(1000 * value, 1) for value in (*seconds, sum(t[1] for t in took) / len(took))]


if __name__ == "__main__":
    main()

"""Shared by the tests of the warehouse: rows of January 2024 for every table, and other processes."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from subprocess import PIPE

import polars as pl
from pydantic import SecretStr

from champion import contracts, warehouse
from champion.base import package_data
from champion.contracts import samples
from champion.settings import Settings
from champion.warehouse import migrations

RAW, NORMALIZED = "raw_equity_ohlc", "normalized_equity_ohlc"
FEATURES, PREDICTIONS, QUARANTINE = "features_equity_indicators", "predictions_equity_scores", "quarantine_equity_ohlc"
ALPHA158, TECHNICAL = "features_equity_alpha158", "features_equity_technical"
DELIVERY, INDEX = "normalized_equity_delivery", "normalized_index_ohlc"
ACTIONS, MASTER = "normalized_corporate_actions", "normalized_symbol_master"
CHANGES, FACTORS, FINDINGS = "normalized_symbol_changes", "normalized_adjustment_factors", "quality_findings"
TABLES = migrations.datasets()
JANUARY, SESSIONS = date(2024, 1, 1), (date(2024, 1, 15), date(2024, 1, 16))
SYMBOLS = ("ACME", "BETA", "M&M", "ZED'S")
INSTANTS = random.Random(11)  # noqa: S311 - the instants at which tests kill writers, the same each time
COUNT, ALL = "select count() from {}", "select * from {}"
INGESTED = datetime(2024, 2, 1, 12, 30, 0, 123000, tzinfo=UTC)


def typed(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=contracts.load(name).polars_schema)


def envelope(session: date, entity: str) -> dict[str, object]:
    return {
        "event_id": uuid.uuid5(uuid.NAMESPACE_URL, f"{session} {entity}").bytes,
        "event_time": datetime(session.year, session.month, session.day, 10, 0, tzinfo=UTC),
        "ingest_time": INGESTED,
        "source": "nse_cm_udiff",
        "schema_version": "1.0.0",
        "entity_id": entity,
    }


def normalized(sessions: tuple[date, ...] = SESSIONS, bump: float = 0.0) -> pl.DataFrame:
    rows = []
    for session in sessions:
        for number, symbol in enumerate(SYMBOLS, start=1):
            close = 100.25 * number + session.day + bump
            rows.append(
                envelope(session, f"NSE:{symbol}")
                | {
                    "instrument_id": f"NSE:{symbol}",
                    "symbol": symbol,
                    "exchange": "NSE",
                    "isin": None if symbol == "BETA" and session == SESSIONS[0] else f"INE000A0101{number}",
                    "instrument_type": "STK",
                    "series": None if symbol == "ZED'S" else "EQ",
                    "trade_date": session,
                    "prev_close": close * (0.9, 1.25, 0.95, 2.0)[number - 1],
                    "open": close,
                    "high": close + 1,
                    "low": close - 1,
                    "close": close,
                    "last_price": None,
                    "settlement_price": close,
                    "volume": 1000 * number,
                    "turnover": close * 1000 * number,
                    "trades": None if number == 1 else 10 * number,
                    "adjustment_factor": 1.0,
                    "adjustment_date": None,
                    "is_trading_day": True,
                }
            )
    return typed(NORMALIZED, rows)


def raw() -> pl.DataFrame:
    known = {"Sgmt": "CM", "Src": "NSE", "FinInstrmTp": "STK", "OpnPric": 10.0, "TtlTradgVol": 2**53 + 1, "Rmks": None}
    return typed(
        RAW,
        [
            envelope(session, f"{symbol}:EQ:NSE") | known | {"TradDt": session, "TckrSymb": symbol, "SctySrs": "EQ"}
            for session in SESSIONS
            for symbol in SYMBOLS
        ],
    )


def features(sessions: tuple[date, ...] = SESSIONS) -> pl.DataFrame:
    return typed(
        FEATURES,
        [
            {
                "instrument_id": f"NSE:{symbol}",
                "symbol": symbol,
                "trade_date": session,
                "feature_timestamp": datetime(session.year, session.month, session.day, 10, 0, tzinfo=UTC),
                "feature_version": "v1",
                "sma_5": 101.125,
                "rsi_14": None if symbol == "ACME" else 55.5,
                "obv": -(2**60) - 1,
            }
            for session in sessions
            for symbol in SYMBOLS
        ],
    )


def alpha158() -> pl.DataFrame:
    return typed(
        ALPHA158,
        [
            {
                "instrument_id": f"NSE:{symbol}",
                "symbol": symbol,
                "trade_date": session,
                "feature_timestamp": datetime(session.year, session.month, session.day, 10, 0, tzinfo=UTC),
                "feature_version": "alpha158",
                "KMID": 0.1,
                "RANK60": None if symbol == "ACME" else 0.55,
                "VMA5": 3e17,
            }
            for session in SESSIONS
            for symbol in SYMBOLS
        ],
    )


def predictions() -> pl.DataFrame:
    return typed(
        PREDICTIONS,
        [
            envelope(SESSIONS[0], f"NSE:{symbol}")
            | {
                "instrument_id": f"NSE:{symbol}",
                "symbol": symbol,
                "trade_date": SESSIONS[0],
                "model_name": "equity_price_predictor",
                "model_version": version,
                "model_run_id": "f00d",
                "feature_version": "v1",
                "horizon": 5,
                "score": 1 / (rank + version),
                "rank": rank,
            }
            for version in (1, 2)
            for rank, symbol in enumerate(SYMBOLS, start=1)
        ],
    )


def quarantine() -> pl.DataFrame:
    row = {"session": SESSIONS[0], "stage": "raw", "row": "a,b", "source": "nse_cm_udiff", "source_file": "f.csv"}
    row |= {"source_sha256": "00", "ingest_time": INGESTED}
    reasons: tuple[list[str], ...] = (["low_le_high", "series_is_named"], [])
    return typed(QUARANTINE, [row | {"row_number": n, "reasons": why} for n, why in enumerate(reasons, start=2)])


def delivery() -> pl.DataFrame:
    known = {"symbol": "ACME", "exchange": "NSE", "trade_date": SESSIONS[0], "volume": 3}
    delivered = {"delivered_volume": 1, "delivered_share": 1 / 3, "average_price": 10.05, "trades": 2}
    equity = envelope(SESSIONS[0], "NSE:ACME") | known | delivered | {"instrument_id": "NSE:ACME", "series": "EQ"}
    return typed(
        DELIVERY,
        [equity, envelope(SESSIONS[0], "NSE:ACME:TB") | known | {"instrument_id": "NSE:ACME:TB", "series": "TB"}],
    )


def index() -> pl.DataFrame:
    known = {"exchange": "NSE", "trade_date": SESSIONS[0]}
    full = {"open": 1.0, "high": 2.5, "low": 0.5, "close": 2.0, "volume": 7, "turnover": 47981700000.0}
    levels = {"NIFTY 50": full | {"points_change": -0.5, "dividend_yield": 1.41}, "NIFTY ALPHA": {"close": 3.25}}
    return typed(
        INDEX,
        [
            envelope(SESSIONS[0], f"NSE:{name}") | known | {"index_id": f"NSE:{name}", "index_name": name} | level
            for name, level in levels.items()
        ],
    )


def actions() -> pl.DataFrame:
    row = envelope(SESSIONS[0], "NSE:ACME") | {"list_date": SESSIONS[0], "instrument_id": "NSE:ACME", "symbol": "ACME"}
    row |= {"listed_symbol": "ACME", "series": "EQ", "ex_date": SESSIONS[1], "detail": "1:2", "purpose": "Bonus 1:2"}
    row |= {"covers_from": SESSIONS[0], "covers_to": SESSIONS[1], "known_at": INGESTED, "source_sha256": "00"}
    factors = {"bonus": 1.5, "rights": None}
    return typed(ACTIONS, [row | {"kind": kind, "price_factor": factor} for kind, factor in factors.items()])


def master() -> pl.DataFrame:
    row = envelope(SESSIONS[0], "NSE:ACME") | {"symbol": "ACME", "exchange": "NSE", "company": "Acme Ltd"}
    row |= {
        "instrument_id": "NSE:ACME",
        "series": "EQ",
        "isin": "INE000A01011",
        "known_at": INGESTED,
        "source_sha256": "00",
    }
    face_values = {SESSIONS[0]: None, SESSIONS[1]: 2.0}
    return typed(MASTER, [row | {"list_date": day, "face_value": value} for day, value in face_values.items()])


def changes() -> pl.DataFrame:
    row = envelope(SESSIONS[0], "BETA") | {"before": "ALPHA", "after": "BETA", "source_sha256": "00"}
    return typed(CHANGES, [row | {"list_date": day, "session": date(2023, 5, 2)} for day in SESSIONS])


def factors() -> pl.DataFrame:
    row = envelope(SESSIONS[0], "NSE:ACME") | {"instrument_id": "NSE:ACME", "symbol": "ACME", "ex_date": SESSIONS[1]}
    row |= {"detail": "1:2", "purpose": "Bonus 1:2", "known_at": INGESTED, "source_sha256": "00"}
    bonus: dict[str, object] = {
        "kind": "bonus",
        "basis": "text",
        "price_factor": 1.5,
        "volume_factor": 1.5,
        "prev_close": 115.25,
    }
    unknown: dict[str, object] = {"kind": "rights", "basis": "theoretical", "reason": "the text gives no amount"}
    listed = [(SESSIONS[0], unknown), (SESSIONS[1], bonus), (SESSIONS[1], unknown)]
    return typed(FACTORS, [row | {"list_date": day} | action for day, action in listed])


def findings() -> pl.DataFrame:
    row = {"session": SESSIONS[0], "gate": "unexplained_gap", "symbol": "ACME", "value": -0.5, "detail": "-50%"}
    series = {"NSE:ACME": "EQ", "NSE:ZED'S": None}
    return typed(FINDINGS, [row | {"instrument_id": name, "series": kind} for name, kind in series.items()])


def sample(name: str) -> pl.DataFrame:
    """Return the row of a contract's sample, of a session in January."""
    contract = contracts.load(name)
    row = samples.read(samples.path(package_data.folder("schemas"), contract), contract)
    return row.with_columns(pl.lit(SESSIONS[0]).alias(contract.session))


FRAMES: dict[str, Callable[[], pl.DataFrame]] = {name: partial(sample, name) for name in TABLES}
FRAMES |= {RAW: raw, NORMALIZED: normalized, FEATURES: features, PREDICTIONS: predictions, QUARANTINE: quarantine}
FRAMES |= {DELIVERY: delivery, INDEX: index, ACTIONS: actions, MASTER: master}
FRAMES |= {CHANGES: changes, FACTORS: factors, FINDINGS: findings, ALPHA158: alpha158}

PARAMETERS: dict[str, dict[str, object]] = {
    "symbol_history": {"symbol": "ZED'S", "start": SESSIONS[0], "end": SESSIONS[1]},
    "instruments": {"symbol": "M&M"},
    "session_cross_section": {"session": SESSIONS[0], "kinds": ""},
    "movers": {"session": SESSIONS[0], "rows": 3, "min_turnover": 0},
    "volume_leaders": {"session": SESSIONS[0], "rows": 2, "kinds": ""},
    "liquidity": {"min_sessions": 2, "kinds": ""},
    "year_highs": {"session": SESSIONS[1], "min_sessions": 2},
    "adjusted_returns": {"symbol": "ACME"},
    "index_members": {"index": "NIFTY 50", "session": SESSIONS[0]},
    "sectors": {"session": SESSIONS[0]},
    "prediction_outcomes": {},
    "predictions_of_session": {"session": SESSIONS[0], "model": "equity_price_predictor"},
    "targets_of_session": {"session": SESSIONS[0]},
}


def count(settings: Settings, table: str) -> int:
    return int(warehouse.sql(settings, COUNT.format(table)).item())


def python(settings: Settings, code: str) -> subprocess.Popen[str]:
    """Start a process that runs `code`; `builders` is this module."""
    head = f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import warehouse_rows as builders
        from champion import contracts, warehouse
        from champion.settings import Settings
        settings = Settings(home=Path({str(settings.home)!r}))
        bars = contracts.load("normalized_equity_ohlc")
    """
    text = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", text], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)


@contextmanager
def served(folder: Path, config: Path | None = None) -> Iterator[Settings]:
    """Yield a workspace whose warehouse is a server in another process."""
    where = f"Path({str(folder / 'server')!r}), {f'Path({str(config)!r})' if config else None}"
    with python(Settings(home=folder), f"import warehouse_server; warehouse_server.serve({where})") as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            dsn = SecretStr(f"clickhouse://default@127.0.0.1:{port}/champion_market?compress=false")
            yield Settings(home=folder / "ws", warehouse_dsn=dsn)
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line.strip() == word, line + process.stderr.read()

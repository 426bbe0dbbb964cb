"""The simulated securities that are no company shares: funds, trusts, rights and the like, some of them liquid.

They have their own random numbers, so an archive's shares trade as they would without them. As on the exchange, fund
units and DVR shares trade in the series of shares, and rights entitlements for about a week.
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from champion.simulate.events import Events
from champion.simulate.files import identities
from champion.simulate.market import Quotes, walk
from champion.simulate.universe import ISSUERS, Instrument, isin, issuer

SMALLEST = 100
"""The smallest number of instruments of an archive that has other kinds too."""
SEED = 1_000_003
FIRST_CODE = 900_000  # above the codes of all shares
RIGHTS_SESSIONS = 8
_LARGE, _SMALL = 2e8, 3e6  # rupees a session

_KINDS = (  # symbol, name, series, ISIN's beginning and type, price, volatility, turnover
    ("KAVERIBEES", "Kaveri Mutual Fund - Kaveri Nifty 50 ETF", "EQ", "INF", "01", 250.0, 0.008, _LARGE),
    ("DECCANGOLD", "Deccan Mutual Fund - Deccan Gold ETF", "EQ", "INF", "B1", 60.0, 0.006, _LARGE),
    ("MALWALIQ", "Malwa Mutual Fund - Malwa Nifty 1D Rate Liquid ETF", "EQ", "INF", "C1", 1_000.0, 0.0001, _LARGE),
    ("KONKANBANK", "Konkan Mutual Fund - Konkan Nifty Bank ETF", "EQ", "INF", "A1", 480.0, 0.009, 2e7),
    ("TAPTIMID", "Tapti Mutual Fund - Tapti Nifty Midcap 150 ETF", "EQ", "INF", "1A", 150.0, 0.009, _SMALL),
    ("GIRNARDVR", "Girnar Motors Limited", "EQ", "IN9", "01", 180.0, 0.018, 5e7),
    ("SATPURA-RE", "Satpura Steel Limited - Rights", "BE", "INE", "20", 40.0, 0.03, 4e7),
    ("NILGIRIPP", "Nilgiri Power Limited", "E1", "IN9", "01", 90.0, 0.018, 1e7),
    ("KUTCHREIT", "Kutch Office Parks REIT", "RR", "INE", "25", 320.0, 0.006, 5e7),
    ("AWADHINVIT", "Awadh Grid Trust", "IV", "INE", "23", 110.0, 0.005, 2e7),
    ("MARWARPREF", "Marwar Finance Limited", "P1", "INE", "04", 12.0, 0.01, _SMALL),
    ("CHAMBALWAR", "Chambal Gas Limited", "W1", "INE", "13", 55.0, 0.025, _SMALL),
    ("BETWAFMP", "Betwa Mutual Fund - Fixed Maturity Plan 12", "MF", "INF", "01", 11.0, 0.002, 2e5),
    ("SGBKOSI28", "2.50% Gold Bonds 2028 Series I", "GB", "IN0", "20", 5_400.0, 0.006, _SMALL),
)  # fmt: skip


def build(instruments: int, seed: int) -> tuple[Instrument, ...]:
    """Return the securities of other kinds in an archive of so many instruments; none in a small one."""
    if instruments < SMALLEST:
        return ()
    share = np.random.default_rng((seed, 7)).beta(6, 5, len(_KINDS)).tolist()
    return tuple(_instrument(place, share[place]) for place in range(len(_KINDS)))


def events(others: tuple[Instrument, ...], sessions: tuple[date, ...]) -> Events:
    """Return when they trade: all sessions, but one fund from a third on, one to two thirds, the rights for a week."""
    count = len(sessions)
    spans = {
        "KONKANBANK": (count // 3, count - 1),
        "TAPTIMID": (0, count * 2 // 3),
        "SATPURA-RE": (count // 2, min(count // 2 + RIGHTS_SESSIONS, count) - 1),
    }
    first, last = zip(*(spans.get(one.symbol, (0, count - 1)) for one in others), strict=True) if others else ((), ())
    return Events(first, last, (), ())


def beside(
    reported: Iterable[tuple[Quotes, bytes]], others: tuple[Instrument, ...], sessions: tuple[date, ...], seed: int
) -> Iterator[tuple[Quotes, bytes, Quotes]]:
    """Yield each session's quotes of shares and its index report, and the quotes of the shares and the others.

    Nothing in the past of the others predicts their returns.
    """
    if not others:
        yield from ((quotes, report, quotes) for quotes, report in reported)
        return
    walked = walk(others, events(others, sessions), sessions, seed=seed + SEED, signal=0.0)
    for (quotes, report), aside in zip(reported, walked, strict=True):
        columns = [each.name for each in fields(Quotes) if each.name not in {"session", "settled"}]
        both: dict[str, Any] = {name: np.concatenate([getattr(quotes, name), getattr(aside, name)]) for name in columns}
        yield quotes, report, replace(quotes, **both)


def identified(identity: pl.DataFrame, others: tuple[Instrument, ...]) -> pl.DataFrame:
    """Return the identities of the shares (`files.identities`), followed by those of the others."""
    return pl.concat([identity, identities(others)]) if others else identity


def _instrument(place: int, delivery: float) -> Instrument:
    symbol, name, series, beginning, security_type, level, volatility, turnover = _KINDS[place]
    body = f"IN00202{security_type}{place:02d}" if beginning == "IN0" else None
    return Instrument(
        symbol=symbol,
        name=name,
        series=series,
        isin=isin(body or f"{beginning}{issuer(ISSUERS - 1 - place)}{security_type}01"),
        code=FIRST_CODE + place,
        sector=0,
        face_value=10,
        lot=1,
        level=level,
        volatility=volatility,
        beta=0.0,
        turnover=turnover,
        liquidity=0.98,
        delivery=delivery,
    )

"""The simulated instruments: invented names, valid ISINs, and the parameters of their trading.

Symbols are words joined to a sector's suffix; one holds `&`, one `-`, and one is a number, as on the exchange.
With twelve instruments or more there are also trade-to-trade (BE), small-company (SM), government (GS) and
corporate debt (N1) series; with fewer, all are EQ.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from champion.market.identity.isin import check_digit

WORDS = (
    "KAVERI SAHYADRI GODAVARI NARMADA VINDHYA MALABAR DECCAN KONKAN ARAVALI CHAMBAL TAPTI BETWA GIRNAR NILGIRI SATPURA "
    "MALWA KUTCH AWADH MARWAR TUNGA BHIMA KOSI GANDAK SHARDA TAMRA PALAR VAIGAI PERIYAR MANJIRA INDRA SARAYU LUNI "
    "MAHI PENNAR SABAR RAPTI SONE HUGLI TEESTA ZANSKAR"
).split()
SECTORS = (
    ("BANK", "FIN", "CAP", "LEASE", "SURE", "HOLD"),
    ("TECH", "SOFT", "INFO", "DATA", "NET", "SYS"),
    ("PHARMA", "LABS", "LIFE", "CARE", "BIO", "DRUG"),
    ("AUTO", "TYRE", "GEAR", "MOTOR", "AXLE", "FORGE"),
    ("STEEL", "METAL", "ZINC", "ALLOY", "MINES", "PIPES"),
    ("FOODS", "TEA", "SUGAR", "DAIRY", "AGRO", "HOME"),
    ("POWER", "GAS", "SOLAR", "GRID", "OIL", "WIND"),
    ("CEM", "INFRA", "REALTY", "BUILD", "PAINT", "GLASS"),
)
NAMES = {
    "SURE": "Assurance",
    "SYS": "Systems",
    "FIN": "Finance",
    "CAP": "Capital",
    "CEM": "Cements",
    "HOLD": "Holdings",
}
EQUITY_SERIES = ("EQ", "BE", "SM")
SMALLEST_MIXED = 12
ISSUERS = 26_000


@dataclass(frozen=True)
class Instrument:
    """One simulated security at the first session; `level` and `turnover` are in rupees.

    `delivery` is the usual part of its volume that is delivered and not traded back within the session.
    """

    symbol: str
    name: str
    series: str
    isin: str
    code: int
    sector: int
    face_value: int
    lot: int
    level: float
    volatility: float
    beta: float
    turnover: float
    liquidity: float
    delivery: float

    @property
    def is_equity(self) -> bool:
        """Whether market, sector and the planted signal move it; debt has only its own noise."""
        return self.series in EQUITY_SERIES


def build(instruments: int, seed: int) -> tuple[Instrument, ...]:
    """Return the instruments of a seed: EQ first, then, from twelve instruments on, SM, BE, GS and N1."""
    rng = np.random.default_rng((seed, 1))
    series = _series(instruments)
    equities = sum(kind in EQUITY_SERIES for kind in series)
    titles = _titles(equities, rng)
    codes = rng.permutation(instruments) * 7 + 1_001
    delivery = np.random.default_rng((seed, 5)).beta(6, 5, instruments)  # mean 0.55, as of the real EQ rows
    built = []
    for position, (kind, code, share) in enumerate(zip(series, codes.tolist(), delivery.tolist(), strict=True)):
        if kind in EQUITY_SERIES:
            built.append(_equity(titles[position], kind, position, code, share, rng))
        else:
            built.append(_debt(kind, position, code, share, rng))
    return tuple(built)


def isin(body: str) -> str:
    """Return the eleven characters with their check digit.

    >>> isin("INE144J0102")
    'INE144J01027'
    """
    return f"{body}{check_digit(body)}"


def next_isin(old: str) -> str:
    """Return the ISIN after a split: the same issuer, the next serial number."""
    return isin(f"{old[:9]}{int(old[9:11]) + 1:02d}")


def _series(instruments: int) -> list[str]:
    if instruments < SMALLEST_MIXED:
        return ["EQ"] * instruments
    debt = -(-instruments // 40)
    others = ["SM"] * -(-instruments // 20) + ["BE"] * -(-instruments // 25) + ["GS"] * debt + ["N1"] * debt
    return ["EQ"] * (instruments - len(others)) + others


def _titles(equities: int, rng: np.random.Generator) -> list[tuple[str, str, int]]:
    """Return symbol, company name and sector of each equity, all symbols different."""
    pairs = [
        (word, suffix, sector) for sector, suffixes in enumerate(SECTORS) for word, suffix in product(WORDS, suffixes)
    ]
    order = rng.permutation(len(pairs))
    titles = []
    for position in range(equities):
        turn, place = divmod(position, len(pairs))
        word, suffix, sector = pairs[order[place]]
        number = str(turn + 1) if turn else ""
        name = f"{word.title()} {NAMES.get(suffix, suffix.title())}{number and ' ' + number} Limited"
        symbol = {0: f"{word[:6]}&{suffix}", 1: f"{word}-{suffix}", 2: "549"}.get(position, word + suffix + number)
        titles.append((symbol, name, sector))
    return titles


def issuer(position: int) -> str:
    """Return four characters such as `144J`, different for each of 26,000 positions."""
    number = position * 7_919 % ISSUERS  # a prime, so that neighbours look unrelated
    return f"{number // 26:03d}{chr(ord('A') + number % 26)}"


def _equity(
    title: tuple[str, str, int], series: str, position: int, code: int, delivery: float, rng: np.random.Generator
) -> Instrument:
    (symbol, name, sector), small = title, series == "SM"
    return Instrument(
        symbol=symbol,
        name=name,
        series=series,
        isin=isin(f"INE{issuer(position)}0101"),
        code=code,
        sector=sector,
        face_value=(10, 10, 10, 5, 2)[int(rng.integers(5))],
        lot=int(rng.choice((500, 1_000, 1_600, 2_000))) if small else 1,
        level=float(np.clip(rng.lognormal(6.1, 0.9), 120, 9_000)),
        volatility=float(rng.uniform(0.010, 0.024)),
        beta=float(rng.uniform(0.5, 1.5)),
        turnover=float(np.clip(rng.lognormal(17.5, 1.6), 2e6, 2e10)) * (0.1 if series != "EQ" else 1.0),
        liquidity=1.0 if series == "EQ" else 0.97,
        delivery=(delivery + 1) / 2 if small else delivery,
    )


def _debt(series: str, position: int, code: int, delivery: float, rng: np.random.Generator) -> Instrument:
    coupon, year, government = int(rng.integers(650, 990)), int(rng.integers(2028, 2060)), series == "GS"
    word = WORDS[position % len(WORDS)]
    return Instrument(
        symbol=f"{coupon}GS{year}" if government else f"{coupon}{word[:4]}{position % 100:02d}",
        name=f"GOI Loan {coupon / 100:.2f}% {year}" if government else f"Sec Re NCD {coupon / 100:.2f}% Sr {position}",
        series=series,
        isin=isin(f"IN002022{position % 1_000:03d}") if government else isin(f"INE{issuer(position)}0701"),
        code=code,
        sector=0,
        face_value=100 if government else 1_000,
        lot=1,
        level=100.0 if government else 1_000.0,
        volatility=0.003,
        beta=0.0,
        turnover=2e5,
        liquidity=0.5,
        delivery=(delivery + 3) / 4,
    )

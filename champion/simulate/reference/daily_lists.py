"""Write the exchange's lists of every session: price bands, ban list, PR bundle and market activity report.

Formats and oddities are copied from real files:

- the price bands of a session apply to the next one; a few sessions have no list; one remark ends in a tab; securities
  with derivatives have `No Band`; new listings have 40%; one share's band is 10% in the middle third of the sessions;
- the ban list has all its spellings in turn; most are `NIL`;
- the bundle's file names change between lower, mixed and upper case; circuit hits have a header of another width; new
  highs and lows have names only, one of a fund that the prices do not have;
- the market activity report has short index names, and an equal-weighted index that the index closes do not have.

Simulated prices ignore bands, so almost no share hits one: the one hit of every session is of a bond.
"""

import io
import zipfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from champion.simulate.events import Events
from champion.simulate.indices import FIFTY, POINTS, VIX
from champion.simulate.market import Floats, Integers, Quotes
from champion.simulate.universe import Instrument
from champion.sources.lists import daily, market_activity, pr_bundle, price_bands

DYNAMIC_SHARE = 10  # one share in ten has derivatives
NEW_LISTING = 10  # sessions
NO_LIST_EVERY = 61  # sessions
YEAR = 250  # sessions
PAISE = 100
NAME_LENGTH = 25
CASES = (("bh", "HL", "Pd"), ("bh", "hl", "pd"), ("BH", "HL", "PD"))
SHORT_NAMES = {POINTS: "Nifty50 Div Point"}
EQUAL_WEIGHTED, FIRST_LEVEL = "NIFTY50 EQL Wgt", 22_000.0
BOND_HIT = "772GS2055,GS,GOI LOAN 7.72% 2055,H"
FUND_HIGH = "KAVERI NIFTY NEXT 50 ETF,1670,1648,H"


@dataclass
class DailyLists:
    """The state that the lists of one session leave to the next."""

    universe: tuple[Instrument, ...]
    events: Events
    sessions: tuple[date, ...]
    level: float = FIRST_LEVEL
    highs: deque[Floats] = field(default_factory=lambda: deque(maxlen=YEAR))
    lows: deque[Floats] = field(default_factory=lambda: deque(maxlen=YEAR))

    @property
    def dynamic(self) -> list[int]:
        """The positions of the securities with derivatives: the shares with the largest turnover."""
        shares = [place for place, one in enumerate(self.universe) if one.series == "EQ"]
        return sorted(shares, key=lambda place: -self.universe[place].turnover)[: max(1, len(shares) // DYNAMIC_SHARE)]

    def files(self, identity: pl.DataFrame, quotes: Quotes, closes: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the bytes of each list of a session; `closes` is its report of index closes."""
        number, session = self.sessions.index(quotes.session), quotes.session
        if number % NO_LIST_EVERY != NO_LIST_EVERY - 1:
            yield daily.price_band_paths(session)[0], self._price_bands(identity, number)
        yield daily.ban_list_paths(session)[0], self._ban_list(identity, number)
        yield daily.bundle_paths(session)[0], self._bundle(identity, quotes, number)
        yield daily.market_activity_paths(session)[0], self._market_activity(quotes, closes)

    def paths(self) -> list[str]:
        """Return the paths of all lists of all sessions."""
        return [path for number, session in enumerate(self.sessions) for path in _paths(number, session)]

    def _price_bands(self, identity: pl.DataFrame, number: int) -> bytes:
        names = ("symbol", "series", "name")
        dynamic, changing = set(self.dynamic), self._changing()
        following = min(number + 1, len(self.sessions) - 1)
        rows = []
        for place, (symbol, series, name) in enumerate(identity.select(names).iter_rows()):
            if self.events.first[place] <= following <= self.events.last[place]:
                band = self._band(place, number + 1, dynamic, changing)
                remark = "-\t" if place == self.dynamic[0] else "-"
                rows.append((str(band), symbol, f'{symbol},{series},{name.upper()},{band},"{remark}"\n'))
        return "".join([f"{price_bands.HEADER}\n", *(text for *_, text in sorted(rows))]).encode()

    def _band(self, place: int, number: int, dynamic: set[int], changing: int | None) -> int | str:
        if place in dynamic:
            return price_bands.NO_BAND
        first = self.events.first[place]
        if first and number - first < NEW_LISTING:
            return 40
        third = len(self.sessions) // 3
        return 10 if place == changing and third <= number < 2 * third else 20

    def _changing(self) -> int | None:
        """Return the position of the calmest share without derivatives."""
        shares = [p for p, one in enumerate(self.universe) if one.series == "EQ" and p not in self.dynamic]
        return min(shares, key=lambda place: self.universe[place].volatility, default=None)

    def _ban_list(self, identity: pl.DataFrame, number: int) -> bytes:
        symbols = [identity[place, "symbol"] for place in self.dynamic if (place * 7 + number // 3) % 11 == 0]
        day = f"{self.sessions[number]:%d-%b-%Y}".upper()
        title = f"Securities in Ban For Trade Date {day}:"
        if not symbols:
            return f"{title}{('NIL', ' NIL', 'NIL,')[number % 3]}\n".encode()
        if number % 4 == 0:
            entries = ",".join(f"{place},{symbol}" for place, symbol in enumerate(symbols, start=1))
            return f"{title} {entries}.\n".encode()
        lines = [f"{place},{symbol}\n" for place, symbol in enumerate(symbols, start=1)]
        return "".join([f"{title}{' ' if number % 2 else ','}\n", *lines]).encode()

    def _bundle(self, identity: pl.DataFrame, quotes: Quotes, number: int) -> bytes:
        titles = [name.upper()[:NAME_LENGTH].rstrip() for name in identity["name"]]
        kinds = CASES[number % len(CASES)]
        texts = (
            f"{pr_bundle.HIT_HEADER}\n{BOND_HIT}\n",
            "\r\n".join([pr_bundle.EXTREME_HEADER, FUND_HIGH, *self._extremes(titles, quotes), "", "\n"]),
            _prices(identity, titles, quotes),
        )
        stamp = f"{quotes.session:%d%m%y}"
        return _zip({f"{kind}{stamp}.csv": text for kind, text in zip(kinds, texts, strict=True)}, quotes.session)

    def _extremes(self, titles: list[str], quotes: Quotes) -> list[str]:
        """Return the lines of new 52-week highs and lows, and remember the session's; prices follow factors."""
        factor = np.where(quotes.previous > 0, quotes.base / np.maximum(quotes.previous, 1), 1.0)
        if (factor != 1).any():
            for prices in (*self.highs, *self.lows):
                np.multiply(prices, factor, out=prices)
        lines = []
        for side, now, past, best in (("H", quotes.high, self.highs, np.fmax), ("L", quotes.low, self.lows, np.fmin)):
            before = best.reduce(np.array(past), axis=0) if past else np.full(len(titles), np.nan)
            is_new = quotes.traded & ((now > before) if side == "H" else (now < before))
            lines += [
                f"{titles[place]},{_short(now[place])},{_short(before[place])},{side}"
                for place in np.flatnonzero(is_new)
            ]
            past.append(np.where(quotes.traded, now.astype(float), np.nan))
        return lines

    def _market_activity(self, quotes: Quotes, closes: bytes) -> bytes:
        rows = [line.split(",") for line in closes.decode().splitlines()[1:]]
        table = []
        for name, _, *levels, change in (row[:7] for row in rows):
            close = float(levels[-1])  # what is computed once a session has its level four times
            figures = [close - float(change), *(close if one == "-" else float(one) for one in levels)]
            short = SHORT_NAMES.get(name, name)
            table.append(f",{short},{','.join(_padded(figures, name))},{change}")
            if name == FIFTY:
                table.append(self._equal_weighted(quotes))
        advances = int((quotes.close > quotes.previous)[quotes.traded].sum())
        head = [f",{quotes.session:%d-%b-%Y}", "The Nifty moved during the session.", ""]
        tail = ["", f",ADVANCES,{advances}", "", ",Total securities that have hit their price bands today,1", ""]
        return "\n".join([*head, market_activity.HEADER, *table, *tail]).encode()

    def _equal_weighted(self, quotes: Quotes) -> str:
        """Return the row of the equal-weighted index of all shares, and update its level."""
        held = quotes.traded & np.array([one.series == "EQ" for one in self.universe])
        before = self.level

        def mean(prices: Integers) -> float:
            return before * float(np.mean((prices / quotes.base)[held])) if held.any() else before

        opened, self.level = mean(quotes.open), mean(quotes.close)
        high, low = max(opened, self.level), min(opened, self.level)
        figures = [before, opened, high, low, self.level]
        return f",{EQUAL_WEIGHTED},{','.join(_padded(figures, EQUAL_WEIGHTED))},{self.level - before:.2f}"


def _paths(number: int, session: date) -> list[str]:
    bands = daily.price_band_paths(session) if number % NO_LIST_EVERY != NO_LIST_EVERY - 1 else []
    others = (daily.ban_list_paths, daily.bundle_paths, daily.market_activity_paths)
    return [*bands, *(paths(session)[0] for paths in others)]


def _padded(figures: list[float], name: str) -> list[str]:
    return [f"{figure:.4f}" if name == VIX else f"{figure:13.2f}" for figure in figures]


def _prices(identity: pl.DataFrame, titles: list[str], quotes: Quotes) -> str:
    """Return the session's prices with an index first; the index has neither symbol nor series."""
    lines = [
        pr_bundle.PRICE_HEADER,
        "Y, , ,Nifty 50,            1,            1,            1,            1,            1,0,0,Y, ,0,1,1",
    ]
    columns = zip(*(each.tolist() for each in _figures(quotes)), strict=True)
    names = identity.select("symbol", "series").iter_rows()
    for (symbol, series), title, traded, (before, opened, high, low, close, value, volume, trades) in zip(
        names, titles, quotes.traded.tolist(), columns, strict=True
    ):
        if traded:
            prices = ",".join(f"{one / PAISE:13.2f}" for one in (before, opened, high, low, close))
            lines.append(f"N,{series},{symbol},{title},{prices},{value / PAISE:.2f},{volume},N, ,{trades},1,1")
    return "\n".join([*lines, ""])


def _figures(quotes: Quotes) -> tuple[Integers, ...]:
    prices = quotes.previous, quotes.open, quotes.high, quotes.low, quotes.close
    return *prices, quotes.turnover, quotes.volume, quotes.trades


def _short(paise: float) -> str:
    return f"{paise / PAISE:.2f}".rstrip("0").rstrip(".")


def _zip(texts: dict[str, str], session: date) -> bytes:
    """Return a zip of the files, dated 19:30 on their session, with the same bytes on every system."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in texts.items():
            member = zipfile.ZipInfo(name, (session.year, session.month, session.day, 19, 30, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, text.encode(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()

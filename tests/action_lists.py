"""Shared by the tests of corporate actions: lists in the exchange's format, and a folder of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from champion.contracts.datasets import ACTIONS
from champion.lake import Lake
from champion.market.actions import corporate_actions
from champion.settings import Settings
from champion.sources import actions as lists, decisions

HEADER = ",".join(lists.HEADER)


def published(*rows: tuple[str, str, date], face: str = "10") -> bytes:
    """Return a list of symbol, purpose and ex-date in the exchange's format."""
    lines = (f'{symbol},X,EQ,"{text}",{face},{day:%d-%b-%Y},-,-,-' for symbol, text, day in rows)
    return "\n".join([HEADER, *lines, ""]).encode()


def named(first: date, last: date) -> str:
    return f"CF-CA-equities-{first:%d-%m-%Y}-to-{last:%d-%m-%Y}.csv"


class Folder:
    """A folder of lists and a workspace that reads it."""

    def __init__(self, root: Path) -> None:
        self.lists = root / "downloads" / "corporates"
        self.lists.mkdir(parents=True)
        self.settings = Settings(home=root / "home", archive="http://127.0.0.1:9", lists=str(root / "downloads"))
        self.lake = Lake(self.settings.lake)

    def add(self, first: date, last: date, *rows: tuple[str, str, date]) -> None:
        """Write a list of symbols, purposes and ex-dates; one that is there under the name is replaced."""
        (self.lists / named(first, last)).write_bytes(published(*rows))

    def decide(self, *lines: str) -> None:
        """Write the file of decisions."""
        text = "\n".join([",".join(decisions.HEADER), *lines, ""])
        (self.lists / "decisions.csv").write_text(text)

    def known(self) -> dict[tuple[str, date], float | None]:
        """Return the factor that is believed now, by symbol and ex-date."""
        rows = corporate_actions.as_known(self.lake.scan(ACTIONS).collect())
        return {
            (symbol, day): factor for symbol, day, factor in rows.select("symbol", "ex_date", "price_factor").rows()
        }

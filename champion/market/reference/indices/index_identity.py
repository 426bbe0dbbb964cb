"""Identify the securities of index lists, and find them under the names and symbols of changes.

1. Lines of lists with one ISIN, or of one instrument, are one security: a split changes the ISIN, and an instrument
   keeps its id across renames. So does an instrument that continues another one
   (`champion.market.identity.continuation`). An instrument that would join two lines of one list is not used.
2. A change with a symbol is of the security that is its instrument in a list.
3. A change with a company's name only (the register) is of the security with this name in the list nearest in time.
   `company_names.csv` leads from former names to present ones. A name that no list has stays a separate security,
   without symbol and ISIN.
4. Two sources may name one change, by a symbol and by a company. If one such symbol and one such name remain for an
   index, date and direction, they are one security.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path

import polars as pl

_NOISE = re.compile(r"[^a-z0-9&]+")


def plain_name(company: str) -> str:
    """Return a company's name in lower case without punctuation, and without `Limited` in its spellings.

    >>> plain_name("The Great Eastern Shipping Co. Ltd."), plain_name("Bosch Limited")
    ('great eastern shipping company', 'bosch')
    """
    words = _NOISE.sub(" ", company.lower().replace("&", " and ")).split()
    spelled = ["company" if word == "co" else word for word in words if word not in {"ltd", "limited", "the"}]
    return " ".join(spelled)


@cache
def present_names() -> dict[str, str]:
    """Return the present name of each former name in `company_names.csv`, both as `plain_name`.

    >>> present_names()["titan industries"]
    'titan company'
    """
    with Path(__file__).with_name("company_names.csv").open(encoding="utf-8", newline="") as stream:
        return {plain_name(row["former"]): plain_name(row["present"]) for row in csv.DictReader(stream)}


def identify(
    lists: pl.DataFrame, changes: pl.DataFrame, continued: Mapping[str, str] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both frames with a column `member`: equal for lines and changes of one security.

    `lists` needs index_name, list_date, instrument_id, isin and company, `changes` index_name, effective, joins,
    instrument_id, symbol and company. `continued` are the instruments that go on as another one, by its id.
    """
    names = {one: f"instrument {_last(one, continued or {})}" for one in lists["instrument_id"].unique()}
    names |= {
        one: f"instrument {_last(one, continued or {})}" for one in changes["instrument_id"].drop_nulls().unique()
    }
    links = [(f"isin {isin}", names[name]) for isin, name in lists.select("isin", "instrument_id").rows()]
    groups = _Groups(links)
    found = [groups.of(isin) for isin, _ in links]
    together = Counter(zip(*(lists[column].to_list() for column in ("index_name", "list_date")), found, strict=True))
    if doubled := {member for (_, _, member), count in together.items() if count > 1}:
        groups = _Groups(link for link, member in zip(links, found, strict=True) if member not in doubled)
        found = [groups.of(isin) for isin, _ in links]
    by_name: dict[str, list[tuple[date, str]]] = defaultdict(list)
    present = present_names()
    for day, company, member in zip(lists["list_date"], lists["company"], found, strict=True):
        by_name[plain_name(company)].append((day, member))
    named = [
        groups.of(names[name]) if name else _nearest(by_name, present, company, day)
        for day, name, company in changes.select("effective", "instrument_id", "company").rows()
    ]
    identified = changes.with_columns(pl.Series("member", named, pl.String))
    return lists.with_columns(pl.Series("member", found, pl.String)), _linked(identified)


def _last(name: str, continued: Mapping[str, str]) -> str:
    """Return the instrument as which another one goes on at last."""
    while name in continued:
        name = continued[name]
    return name


def _linked(changes: pl.DataFrame) -> pl.DataFrame:
    """Give a company's name and a symbol that are alone in no list, but in one change, the symbol's member."""
    unknown = changes.filter(pl.col("joins").is_not_null() & ~pl.col("member").str.starts_with("isin "))
    change = ["index_name", "effective", "joins"]
    by_symbol, by_name = (
        unknown.filter(pl.col(column).is_not_null()).unique([*change, "member"]).group_by(change).agg("member")
        for column in ("symbol", "company")
    )
    both = by_symbol.join(by_name, on=change, suffix="_named").sort(change)
    single = both.filter((pl.col("member").list.len() == 1) & (pl.col("member_named").list.len() == 1))
    links = {named[0]: member[0] for member, named in single.select("member", "member_named").iter_rows()}
    return changes.with_columns(pl.col("member").replace(links))


class _Groups:
    """Disjoint sets of texts (union-find with path halving)."""

    def __init__(self, links: Iterable[tuple[str, str]]) -> None:
        self._parent: dict[str, str] = {}
        for one, other in links:
            first, second = sorted((self.of(one), self.of(other)))
            self._parent[second] = first

    def of(self, text: str) -> str:
        """Return the first text of the set in alphabetical order; a text without links is its own set."""
        while (parent := self._parent.get(text, text)) != text:
            self._parent[text] = self._parent.get(parent, parent)
            text = parent
        return text


def _nearest(
    by_name: Mapping[str, list[tuple[date, str]]], present: Mapping[str, str], company: str | None, day: date
) -> str | None:
    if company is None:
        return None
    name = plain_name(company)
    if name not in by_name:
        name = present.get(name, name)
    candidates: Iterator[tuple[int, str]] = ((abs((seen - day).days), member) for seen, member in by_name.get(name, ()))
    return min(candidates, default=(0, f"company {name}"))[1]

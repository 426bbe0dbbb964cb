"""Derive the members of an index as of a date from dated lists and dated changes.

1. Lists that are older or newer than their date are set aside (`champion.market.reference.indices.stale_lists` and
   `misdated_lists`).
2. The first list is the anchor. Earlier dates follow from it by undoing the dated changes, latest first, from
   sources that are complete until then, and only back to the first contradiction.
3. Later dates follow by applying the dated changes. What then differs from the next list changed between both lists:
   the change takes effect on the later list's date, and the interval says since when it is possible. So a member never
   appears before the evidence for it.
4. A dated change that contradicts the members is not applied, and is reported. So is a change of an index or symbol
   that nothing else knows (`champion.market.reference.indices.change_checks`): from its date on, the members are not
   known to be complete until a list shows them, and dates before it do not follow from later ones. A typed change that
   leads back to members which other dated changes exclude ends the way back too
   (`champion.market.reference.indices.typed_changes`).
5. The bars say which instrument and symbol a member has, and when it stopped trading
   (`champion.market.reference.indices.traded`). A company that no index list names is the instrument under its name in
   other lists (`champion.market.reference.company_names`).

An index is covered from its first dated change (or list) to the last date on which a list was seen or the table of
changes is complete. A date outside is refused, never filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from champion.base.counting import known_names
from champion.errors import UsageError
from champion.market.index_bars import RENAMED as PRESENT_NAMES
from champion.market.reference.company_names import PUBLISHED, with_instruments
from champion.market.reference.indices.agreement import agree
from champion.market.reference.indices.change_checks import REFUSED_SCHEMA, checked
from champion.market.reference.indices.identities import Identities
from champion.market.reference.indices.index_identity import identify
from champion.market.reference.indices.index_steps import OneIndex, covered_dates, derive, evidence_of
from champion.market.reference.indices.misdated_lists import misdated_by_bars, misdated_by_indices, misdated_copies
from champion.market.reference.indices.relations import parts_of
from champion.market.reference.indices.stale_lists import set_aside_stale
from champion.market.reference.indices.steps import (
    BETWEEN_LISTS,
    LIST,
    NO_BAR,
    PRESS_RELEASE,
    REGISTER,
    RENAMED,
    Step,
    periods,
)
from champion.market.reference.indices.traded import Traded
from champion.market.reference.indices.typed_changes import refuse_typed

VERSION = "6"  # raise it when the meaning of the output changes: stored members are then derived again
BASES = (LIST, REGISTER, PRESS_RELEASE, BETWEEN_LISTS, RENAMED, NO_BAR)
LISTS_SCHEMA = {
    "index_name": pl.String(),
    "list_date": pl.Date(),
    "as_of_from": pl.Date(),
    "seen_until": pl.Date(),
    "known_on": pl.Date(),
    "instrument_id": pl.String(),
    "symbol": pl.String(),
    "isin": pl.String(),
    "company": pl.String(),
    "is_dummy": pl.Boolean(),
}
CHANGES_SCHEMA = {
    "index_name": pl.String(),
    "effective": pl.Date(),
    "joins": pl.Boolean(),
    "instrument_id": pl.String(),
    "symbol": pl.String(),
    "company": pl.String(),
    "basis": pl.String(),
    "known_on": pl.Date(),
}
MEMBERS_SCHEMA = {
    "index_name": pl.String(),
    "instrument_id": pl.String(),
    "symbol": pl.String(),
    "isin": pl.String(),
    "company": pl.String(),
    "seen_on": pl.Date(),
    "member_from": pl.Date(),
    "member_until": pl.Date(),
    "from_basis": pl.String(),
    "from_after": pl.Date(),
    "from_index": pl.String(),
    "until_basis": pl.String(),
    "until_after": pl.Date(),
    "until_index": pl.String(),
    "member": pl.String(),
}
SET_ASIDE_SCHEMA = {
    "index_name": pl.String(),
    "list_date": pl.Date(),
    "reason": pl.String(),
    "content_before": pl.Date(),
}


@dataclass(frozen=True, slots=True)
class Membership:
    """The members of all indices, and the dates for which they are known.

    `members` has a row per index, security and period with one symbol and ISIN (see `memberships`); `covered` the first
    and last covered date by index; `set_aside` (index_name, list_date, reason, content_before) the stale lists;
    `contradictions` (index_name, effective, member, joins, basis, reason) the changes that were not applied, each with
    its member as the source writes it: a symbol, or a company's name.
    """

    members: pl.DataFrame
    covered: Mapping[str, tuple[date, date]]
    set_aside: pl.DataFrame
    contradictions: pl.DataFrame

    def on(self, index: str, day: date) -> pl.DataFrame:
        """Return the members of an index on a date, by symbol; columns as in `members`.

        Raises:
            UsageError: the index is unknown, or the date is not covered; the message names what is covered.
        """
        if index not in self.covered:
            self._require_kept_list(index)
        require_covered(self.covered, index, day, day)
        is_member = (pl.col("member_from") <= day) & (pl.col("member_until").fill_null(date.max) > day)
        return self.members.filter((pl.col("index_name") == index) & is_member).sort("symbol", "company")

    def _require_kept_list(self, index: str) -> None:
        aside = self.set_aside.filter(index_name=index).sort("list_date")
        if aside.height:
            why = "; ".join(f"that of {day} because {text}" for day, text in aside.select("list_date", "reason").rows())
            raise UsageError(f"no list of {index} counts. Set aside: {why}. Load another list of the index")


def memberships(
    lists: pl.DataFrame,
    changes: pl.DataFrame,
    *,
    known: date | None = None,
    traded: Traded | None = None,
    covered_now: Mapping[str, tuple[date, date]] | None = None,
    names: pl.DataFrame | None = None,
) -> Membership:
    """Return the members of every index with a list.

    `lists` has `LISTS_SCHEMA`: a line per security, index and list; `list_date` is an upper bound of the date that the
    list describes, `as_of_from` a lower bound (null if unknown), `seen_until` the last date on which the provider still
    served it. `changes` has `CHANGES_SCHEMA`; a row without `joins` says that its source is complete until its date.
    `known` leaves out what became known after that date. `traded` are the bars of company shares; without them, lists
    and changes alone decide. `covered_now` is the coverage by all evidence: with it, the last list of an index counts
    until `known`, as for a person on that day, if later evidence covers that day. `names` (`company_names.PUBLISHED`)
    lead from names of the register to instruments. They say who a company is, not what it did, so `known` does not
    limit them, as it does not limit symbol changes.

    In the result, symbol, ISIN and company are those of the list or change of `seen_on`. `member_from` is the first
    date as a member and `member_until` the first date after; null if the security is still a member. `from_basis` is
    the evidence: `list` (a member on the first covered date, and perhaps earlier), `register`, `press release`,
    `between lists`, `renamed` (a new instrument, symbol or ISIN of the same member), or for the end alone `no bar`: it
    stopped trading after `until_after`, and was without a bar for `life.QUIET` sessions on `member_until`.
    `from_after` is null for an exact date; otherwise the change happened after this date and not after `member_from`.
    For changes between lists it is null too if nothing bounds the older list. `until_basis` and `until_after` are the
    same for the end.

    Raises:
        UsageError: nothing is known by `known`.
    """
    bars = traded or Traded.nothing()
    if known is not None:
        lists = lists.filter(pl.col("known_on") <= known).with_columns(pl.min_horizontal("seen_until", pl.lit(known)))
        changes, bars = changes.filter(pl.col("known_on") <= known), bars.until(known)
    lists = lists.filter(~pl.col("is_dummy"))
    if lists.is_empty():
        raise UsageError(f"no index list is known{f' on {known}' if known else ''}: load lists with `champion lists`")
    checks = checked(lists, changes, bars)
    lists = bars.name(lists)
    published = pl.DataFrame(schema=PUBLISHED) if names is None else names
    changes = with_instruments(bars.name(checks.usable), lists, published, bars)
    lists, changes = identify(lists, changes, dict(bars.continued.select("instrument_id", "continued_as").iter_rows()))
    evidence = dict(evidence_of(lists, changes))
    for index, one in evidence.items():
        one.leave_open(checks.holes.get(index, ()))
    set_aside = _set_aside(evidence, lists, bars)
    kept = lists.join(set_aside, on=["index_name", "list_date"], how="anti")
    unnamed = lists.join(kept, on="member", how="anti")  # a name that only a list which was set aside has
    identities = Identities.of(pl.concat([kept, unnamed]), changes, bars)
    evidence = {index: one for index, one in evidence.items() if one.lists}
    for one in evidence.values():
        derive(one)
    refuse_typed(evidence)
    covered = {index: covered_dates(one) for index, one in evidence.items()}
    if known is not None and covered_now:
        for index in covered.keys() & covered_now.keys():
            first, last = covered[index]
            covered[index] = first, max(last, min(known, covered_now[index][1]))
    agreed, conflicts = agree(evidence, covered)
    rows: list[tuple[object, ...]] = []
    columns = ["index_name", "effective", "member", "joins", "basis", pl.coalesce("symbol", "company")]
    written = {tuple(change): text for *change, text in changes.select(columns).iter_rows()}
    refused = checks.refused.rows()
    for index, one in evidence.items():
        one.steps = agreed[index]
        one.steps = _without_dead(index, evidence, identities)
        rows += [(index, *row) for row in periods(one.start, one.steps, identities.by_member, covered[index][0])]
        for event, why in one.refused:
            as_written = written.get((index, event.day, event.member, event.joins, event.basis)) or identities.name(
                event.member, event.day
            )
            refused.append((index, event.day, as_written, event.joins, event.basis, why))
    for each in conflicts:
        name = identities.name(each.member, each.day)
        refused.append((each.index, each.day, name, each.joins, LIST, each.reason))
    return Membership(
        pl.DataFrame(rows, MEMBERS_SCHEMA, orient="row").sort("index_name", "member_from", "symbol", "company"),
        covered,
        set_aside,
        pl.DataFrame(refused, REFUSED_SCHEMA, orient="row"),
    )


def stored(rows: pl.DataFrame, contradictions: pl.DataFrame | None = None) -> Membership:
    """Return the members that the lake holds, from rows of its members and its contradictions.

    `contradictions` is empty in the result, and so is `set_aside` without the rows of its contract.
    """
    spans = rows.select("index_name", "covered_from", "covered_until").unique().sort("index_name").rows()
    covered = {index: (first, last) for index, first, last in spans}
    aside = pl.DataFrame(schema=SET_ASIDE_SCHEMA) if contradictions is None else stored_aside(contradictions)
    return Membership(rows, covered, aside, pl.DataFrame(schema=REFUSED_SCHEMA))


def stored_aside(contradictions: pl.DataFrame) -> pl.DataFrame:
    """Return the lists that are set aside, from rows of normalized_index_contradictions (`SET_ASIDE_SCHEMA`)."""
    return (
        contradictions.filter(kind=LIST)
        .select("index_name", "reason", "content_before", list_date="dated")
        .select(list(SET_ASIDE_SCHEMA))
    )


def within(rows: pl.DataFrame, periods: pl.DataFrame, first: str, until: str) -> pl.DataFrame:
    """Return the rows (instrument_id, trade_date) whose instrument has a period, from `first` on, that holds the date.

    >>> day = date(2024, 1, 15)
    >>> rows = pl.DataFrame({"instrument_id": ["A", "B"], "trade_date": [day, day]})
    >>> periods = pl.DataFrame({"instrument_id": ["A", "B"], "since": [day, day], "until": [None, day]})
    >>> within(rows, periods, "since", "until")["instrument_id"].to_list()
    ['A']
    """
    inside = (pl.col("trade_date") >= pl.col(first)) & (pl.col("trade_date") < pl.col(until).fill_null(date.max))
    known = periods.select("instrument_id", first, until).drop_nulls("instrument_id")
    pairs = rows.select("instrument_id", "trade_date").join(known, on="instrument_id").filter(inside)
    return rows.join(pairs, on=["instrument_id", "trade_date"], how="semi", maintain_order="left")


def require_covered(covered: Mapping[str, tuple[date, date]], index: str, first: date, last: date) -> None:
    """Do nothing if the dates from `first` to `last` are covered for the index.

    Raises:
        UsageError: they are not; the message names the covered dates, or the known indices.
    """
    if index not in covered:
        present = f"it is called {PRESENT_NAMES[index]!r} now; " if index in PRESENT_NAMES else ""
        raise UsageError(f"no list of index {index!r}: {present}{known_names(index, covered, 'there are lists of')}")
    start, end = covered[index]
    if first < start or last > end:
        span = f"{first}" if first == last else f"{first} to {last}"
        raise UsageError(
            f"the members of {index} on {span} are not known: its lists and changes cover {start} to {end}. "
            "Load a list of that date, or ask for a covered one"
        )


def require_known_then(
    found: Membership, now: Mapping[str, tuple[date, date]], index: str, day: date, known: date
) -> None:
    """Do nothing if the members on a date were known on the date `known`, or are not known at all; else refuse.

    `found` are the members as known then, `now` the dates that all evidence covers.

    Raises:
        UsageError: what was known then does not cover the date, but later evidence does; the message has both ranges.
    """
    if index not in found.covered or index not in now:
        return
    (start, end), (first, last) = found.covered[index], now[index]
    if first <= day <= last and not start <= day <= end:
        raise UsageError(
            f"the members of {index} on {day} were not known by {known}: what was known then covers {start} to {end}, "
            f"and all evidence {first} to {last}. Ask with a later `known`, or without it"
        )


def _set_aside(evidence: Mapping[str, OneIndex], lists: pl.DataFrame, bars: Traded) -> pl.DataFrame:
    """Leave out the lists that are not as of their date, and return them with the reasons (`SET_ASIDE_SCHEMA`)."""
    everyone = frozenset(lists["member"].unique())
    aside = dict(misdated_by_bars(lists, bars))
    for index, one in evidence.items():
        one.lists = [each for each in one.lists if (index, each.day) not in aside]
    aside |= misdated_copies(evidence, lists, bars)
    for index, one in evidence.items():
        one.lists = [each for each in one.lists if (index, each.day) not in aside]
        one.lists, stale = set_aside_stale(one.lists, one.events, one.complete, everyone)
        aside |= {(index, day): why for day, why in stale.items()}
    aside |= (others := misdated_by_indices({index: one.lists for index, one in evidence.items()}))
    for index, one in evidence.items():
        one.lists = [each for each in one.lists if (index, each.day) not in others]
    rows = [(*where, why.reason, why.content_before) for where, why in aside.items()]
    return pl.DataFrame(rows, SET_ASIDE_SCHEMA, orient="row")


def _without_dead(index: str, evidence: Mapping[str, OneIndex], identities: Identities) -> list[Step]:
    """Return the steps with the exits of members that stopped trading, unless a later list names them.

    A list of the index or of a part of it; a list of other indices says nothing about this one.
    """
    one, exits = evidence[index], dict[str, Step]()
    lists = [each for name in (index, *parts_of(index)) if name in evidence for each in evidence[name].lists]
    for member, (last_bar, quiet) in identities.ended.items():
        named = (each.day + timedelta(1) for each in lists if each.day >= quiet and member in each.members)
        day = max([quiet, *named])
        if day > one.first:
            exits[member] = Step(day, member, joins=False, basis=NO_BAR, after=last_bar)
    inside, steps = set(one.start), list[Step]()
    gone = set[str]()
    for step in sorted([*one.steps, *exits.values()], key=lambda step: (step.day, step.basis == NO_BAR)):
        if step.basis == NO_BAR and step.member not in inside:
            continue
        if step.member in gone and not step.joins:
            continue  # a list shows its exit later
        (inside.add if step.joins else inside.discard)(step.member)
        (gone.add if step.basis == NO_BAR else gone.discard)(step.member)
        steps.append(step)
    return steps

"""Write the constituents of the simulated indices as dated copies, their press releases and the register.

1. An index starts with the largest EQ instruments by turnover. At the end of March and of September the three smallest
   give way to three others; the largest instrument outside replaces a delisted member. All members are members of the
   next wider index.
2. Copies are kept on the first and on the last session, and each quarter one that is up to three weeks old, under the
   day of keeping. One copy is stale: it is from before the last review. One has a line for shares in a demerger.
3. Industries are in the old scheme until 2022-03 and in the new one later, as in the real lists.
4. Press releases name the changes of the Nifty 50 alone. The register has those of all indices until the middle of the
   archive; later ones of the other indices lie between lists.

An archive has the lists of the indices for which it has enough instruments.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np

from champion.simulate.changes import Change
from champion.simulate.events import Events
from champion.simulate.files import apply_changes, identities
from champion.simulate.reference.index_register import register
from champion.simulate.universe import Instrument
from champion.sources.lists.index_changes import HEADER as CHANGES_HEADER
from champion.sources.lists.index_list import HEADER, index_names

SIZES = {"NIFTY 50": 50, "NIFTY 100": 100, "NIFTY 200": 200, "NIFTY 500": 500}
INDUSTRIES = (
    ("FINANCIAL SERVICES", "Financial Services"),
    ("IT", "Information Technology"),
    ("PHARMA", "Healthcare"),
    ("AUTOMOBILE", "Automobile and Auto Components"),
    ("METALS", "Metals & Mining"),
    ("CONSUMER GOODS", "Fast Moving Consumer Goods"),
    ("POWER", "Power"),
    ("CEMENT & CEMENT PRODUCTS", "Construction Materials"),
)
NEW_SCHEME_FROM = date(2022, 8, 16)
FOLDER = "content/indices"
REVIEW_MONTHS, REPLACED = (3, 9), 3
ANNOUNCED_BEFORE = timedelta(28)
QUARTERS, OLDEST = (1, 4, 7, 10), 21  # months of the copies; days until a copy is kept
DUMMY, STALE, STALE_BY = 1, 3, 150  # places of these copies; sessions, so that a review lies between
RELEASES = "NIFTY 50"


def index_lists(
    universe: tuple[Instrument, ...], events: Events, sessions: tuple[date, ...], seed: int
) -> dict[str, bytes]:
    """Return the files by path: copies of lists, table of changes, register; none with too few instruments."""
    rng = np.random.default_rng((seed, 9))
    files: dict[str, bytes] = {}
    members: dict[str, Sequence[frozenset[int]]] = {}
    wider: Sequence[frozenset[int]] = [frozenset(range(len(universe)))] * len(sessions)
    for name, size in reversed(SIZES.items()):
        if found := _members(universe, events, sessions, size, wider, rng):
            members[name] = wider = found
    for known in index_names():
        if known.index_name not in members:
            continue
        held = members[known.index_name]
        for place, (kept_on, as_of) in enumerate(_copies(sessions, rng)):
            content = _text(universe, events, held[as_of], sessions[as_of], has_dummy=place == DUMMY)
            files[f"{FOLDER}/snapshots/{kept_on}/{known.file}"] = content
        for number in (0, -1):  # so that the lists cover all bars
            path = f"{FOLDER}/snapshots/{sessions[number]}/{known.file}"
            files[path] = _text(universe, events, held[number], sessions[number])
        if known.index_name == RELEASES:
            files[f"{FOLDER}/index_changes.csv"] = _releases(universe, events, held, sessions)
    return {**files, **register(universe, members, sessions)}


def _members(
    universe: tuple[Instrument, ...],
    events: Events,
    sessions: tuple[date, ...],
    size: int,
    wider: Sequence[frozenset[int]],
    rng: np.random.Generator,
) -> list[frozenset[int]]:
    """Return the positions of the members on each session; empty if there are too few instruments at any time.

    They are among the members of the wider index.
    """
    largest = sorted(
        (place for place, one in enumerate(universe) if one.series == "EQ"), key=lambda place: -universe[place].turnover
    )
    members = set([place for place in largest if not events.first[place]][:size])
    held = []
    for number in range(len(sessions)):
        listed = [place for place in largest if events.first[place] <= number <= events.last[place]]
        listed = [place for place in listed if place in wider[number]]
        if len(listed) < size + REPLACED:
            return []
        members &= {*listed}
        outside = [place for place in listed if place not in members]
        if number and _is_review(sessions, number):
            leaving = [place for place in reversed(listed) if place in members][:REPLACED]
            joining = rng.permutation(outside)[:REPLACED].tolist()
            members = (members - {*leaving}) | {*joining}
            outside = [place for place in outside if place not in joining]
        members |= {*outside[: size - len(members)]}
        held.append(frozenset(members))
    return held


def _is_review(sessions: tuple[date, ...], number: int) -> bool:
    """Return whether a session is the last of a month of review."""
    session = sessions[number]
    is_last = number + 1 == len(sessions) or sessions[number + 1].month != session.month
    return session.month in REVIEW_MONTHS and is_last


def _copies(sessions: tuple[date, ...], rng: np.random.Generator) -> Iterator[tuple[date, int]]:
    """Yield the day of each copy, and the index of the session it describes: that of the quarter, or an older one."""
    quarters = [
        number
        for number, session in enumerate(sessions)
        if number and session.month in QUARTERS and sessions[number - 1].month != session.month
    ]
    for place, number in enumerate(quarters):
        kept = min(sessions[number] + timedelta(int(rng.integers(OLDEST + 1))), sessions[-1])
        yield kept, number - STALE_BY if place == STALE else number


def _text(
    universe: tuple[Instrument, ...], events: Events, members: frozenset[int], day: date, *, has_dummy: bool = False
) -> bytes:
    """Return a list as of a day: names, symbols and ISINs of that day, by company."""
    known = [change for change in events.changes if change.session <= day]
    identity = apply_changes(identities(universe), known)
    lines = []
    for position in members:
        row = identity.row(position, named=True)
        industry = INDUSTRIES[universe[position].sector][day >= NEW_SCHEME_FROM]
        lines.append([row["name"], industry, row["symbol"], row["series"], row["isin"]])
    lines.sort()
    if has_dummy:
        company, industry, symbol, series, isin = lines[0]
        lines.append([f"{company} (Demerged)", industry, f"DUMMY{symbol[:5]}", series, f"DUM{isin[3:]}"])
    return "".join(f"{','.join(line)}\n" for line in [HEADER, *lines]).encode()


def _releases(
    universe: tuple[Instrument, ...], events: Events, held: Sequence[frozenset[int]], sessions: tuple[date, ...]
) -> bytes:
    """Return the table of changes typed from press releases, complete until the last session."""
    rows = [",".join(CHANGES_HEADER)]
    for number in range(1, len(sessions)):
        if held[number] == held[number - 1]:
            continue
        day = sessions[number]
        left, joined = (
            ";".join(sorted(_symbol(universe, events.changes, place, day) for place in places))
            for places in (held[number - 1] - held[number], held[number] - held[number - 1])
        )
        rows.append(f"{RELEASES},{day},{left},{joined},ind_prs{day - ANNOUNCED_BEFORE:%d%m%Y},")
    rows.append(f"{RELEASES},{sessions[-1]},,,,no change since")
    return ("\n".join(rows) + "\n").encode()


def _symbol(universe: tuple[Instrument, ...], changes: Sequence[Change], place: int, day: date) -> str:
    symbol = universe[place].symbol
    for change in sorted(changes, key=lambda one: one.session):
        if change.position == place and change.attribute == "symbol" and change.session <= day:
            symbol = change.after
    return symbol

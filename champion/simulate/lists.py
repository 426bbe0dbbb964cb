"""Write the exchange's lists: the symbol master, the symbol changes and the corporate actions.

They are as of the archive's last session, as the real ones are as of the day of download.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from champion.simulate.actions import Action
from champion.simulate.changes import Change
from champion.simulate.events import Events
from champion.simulate.files import apply_changes, identities, stamp
from champion.simulate.universe import Instrument
from champion.sources.actions import HEADER

SAME_DAY_RECORD_FROM = date(2023, 1, 27)  # with T+1 settlement the record date became the ex-date
MASTER_HEADER = "SYMBOL,NAME OF COMPANY, SERIES, DATE OF LISTING, PAID UP VALUE, MARKET LOT, ISIN NUMBER, FACE VALUE\n"
LONG_AGO = "Kaveri Spinning Mills Limited,KAVERISPIN,KAVERIMILL,03-APR-1998\n"


def master(universe: tuple[Instrument, ...], events: Events, sessions: tuple[date, ...]) -> bytes:
    """Return the symbol master as of the last session: EQ and BE instruments still listed, by symbol."""
    identity = apply_changes(identities(universe), events.changes)
    faces = {action.position: action.face_value for action in events.actions}
    lines = []
    for position, row in enumerate(identity.iter_rows(named=True)):
        if row["series"] not in {"EQ", "BE"} or events.last[position] < len(sessions) - 1:
            continue
        first = events.first[position]
        listed = sessions[first] if first else sessions[0] - timedelta(30 + universe[position].code % 7_000)
        face = faces.get(position, universe[position].face_value)
        fields = (row["symbol"], row["name"], row["series"], stamp(listed), face, row["lot"], row["isin"], face)
        lines.append(",".join(map(str, fields)) + "\n")
    return (MASTER_HEADER + "".join(sorted(lines))).encode()


def symbol_changes(universe: tuple[Instrument, ...], changes: Iterable[Change]) -> bytes:
    """Return the published renames, without a header: company, old symbol, new symbol, date.

    The exchange's list goes back decades and is never empty, so one rename is older than any archive.
    """
    renames = (change for change in changes if change.attribute == "symbol" and change.published)
    lines = (f"{universe[one.position].name},{one.before},{one.after},{stamp(one.session)}\n" for one in renames)
    return "".join([LONG_AGO, *sorted(lines)]).encode()


def corporate_actions(universe: tuple[Instrument, ...], events: Events, actions: tuple[Action, ...]) -> bytes:
    """Return the list of corporate actions; `actions` are the events' actions, with their amounts.

    As in the real list, symbols are the latest, and a few rows are repeated.
    """
    series = apply_changes(identities(universe), events.changes)["series"].to_list()
    rows = [HEADER]
    # The list repeats the first action with a factor, and the first dividend.
    repeated = [action for action in actions if action.price_factor != 1.0][:1]
    repeated += [action for action in actions if action.kind == "dividend"][:1]
    for action in sorted([*actions, *repeated], key=lambda one: one.ex_date):
        record = action.ex_date if action.ex_date >= SAME_DAY_RECORD_FROM else action.ex_date + timedelta(1)
        title = universe[action.position].name
        dates = (f"{action.ex_date:%d-%b-%Y}", f"{record:%d-%b-%Y}", "-", "-")
        rows.append([action.symbol, title, series[action.position], action.purpose, str(action.face_value), *dates])
    text = "".join(",".join(f'"{field}"' for field in row) + "\n" for row in rows)
    return text.encode("utf-8-sig")

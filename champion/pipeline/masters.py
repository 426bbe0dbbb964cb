"""The exchange's list of shares from the archive to the lake: its path is fixed, so any archive can be asked."""

from __future__ import annotations

from champion import masters
from champion.lake import Lake
from champion.masters import SYMBOLS, VERSION, MasterOrigin
from champion.pipeline.actions import Refreshed
from champion.pipeline.lineage import lineage
from champion.settings import Settings
from champion.sources import masters as lists
from champion.sources.archive import Archive

EQUITY_LIST = "content/equities/EQUITY_L.csv"


def refresh(settings: Settings) -> Refreshed:
    """Bring the archive's list of shares into staging and lake; the same list again changes nothing.

    A partition is the date in India on which a list was first read; a second list on one date replaces the first
    there, staging keeps both.

    Raises:
        ArchiveError: the archive did not answer, or the list is not what it should be; the lake is as it was.
        ContractError: a row breaks its contract.
    """
    with Archive(settings.archive, settings.staging) as archive:
        staged = archive.fetch_list(EQUITY_LIST)
    if staged is None:
        return Refreshed("absent", 0, f"{settings.archive} has no {EQUITY_LIST}: what the lake knows of symbols stays")
    lake = Lake(settings.lake)
    known = lineage(lake)
    made_from = {"list": staged.sha256, "lineage": known.digest, "masters": VERSION}
    before = lake.manifest(SYMBOLS, staged.session)
    if before is not None and before.made_from(made_from):
        return Refreshed("already", before.current.rows, f"{staged.name} is in the lake")
    rows = lists.parse_equity_list(staged.name, staged.path.read_bytes())
    frame = masters.normalize(rows, known, MasterOrigin(lists.SOURCE, staged.sha256, staged.fetched_at))
    lake.write(SYMBOLS, staged.session, frame, made_from)
    return Refreshed("written", frame.height, f"{staged.name}: {frame.height:,} symbols")

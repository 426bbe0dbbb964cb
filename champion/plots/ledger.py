"""Figures of the ledgers: runs with outcome and duration, and the champion over time."""

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from champion.plots import style

_COLORS = {"succeeded": style.BLUE, "skipped": style.SKY, "running": style.GREEN}  # every other outcome: vermilion
_LISTED = 30


@style.plot("Runs", "started", "name", "outcome", "seconds", source="MLflow", nulls="keep")
def runs(ledger: pl.DataFrame) -> Figure:
    """Draw the duration of each run as a bar in the colour of its outcome, newest first, the newest 30 at most.

    Columns: started (text or time), name, outcome, seconds (null while it runs).

    >>> rows = {"started": ["09:15", "09:20"], "name": ["ingest", "quality"], "outcome": ["succeeded", "failed"]}
    >>> runs(pl.DataFrame(rows | {"seconds": [12.0, 3.0]})).axes[0].get_title(loc="left")
    'Runs: 1 of 2 did not succeed'
    """
    shown = ledger.sort("started", descending=True).head(_LISTED)
    outcomes = shown["outcome"].fill_null("running").to_list()
    seconds = shown["seconds"].cast(pl.Float64).fill_null(0).to_list()
    figure, (ax,) = style.panels((9.5, 1.4 + 0.27 * shown.height), grid="x")
    places = np.arange(shown.height)
    ax.barh(places, seconds, color=[_color(outcome) for outcome in outcomes], height=0.72, linewidth=0)
    for place, outcome, length in zip(places, outcomes, seconds, strict=True):
        text = f"{outcome}, {style.duration_text(length)}" if length else outcome
        ax.annotate(text, (length, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    names = [f"{name}   {started}" for started, name in shown.select("started", "name").iter_rows()]
    ax.set_yticks(places, names)
    ax.set(ylim=(shown.height - 0.4, -0.6), xlim=(0, max([1.0, *seconds]) * 1.3), xlabel="seconds")
    bad = sum(_color(outcome) == style.VERMILION for outcome in outcomes)
    ax.set_title(f"Runs: {bad} of {shown.height} did not succeed" if bad else f"Runs: none of {shown.height} failed")
    return figure


@style.plot("Champions", "at", "version", "state", source="promotion ledger")
def champions(decisions: pl.DataFrame) -> Figure:
    """Draw the version of the champion over time as steps, and refused challengers as crosses.

    Columns: at (time of the decision), version, state ('done' or 'refused'; others are left out).

    >>> from datetime import datetime
    >>> rows = {"at": [datetime(2024, 1, 1), datetime(2024, 2, 1)], "version": [1, 2], "state": ["done", "refused"]}
    >>> champions(pl.DataFrame(rows)).axes[0].get_title(loc="left")
    'Champion: version 1 since 2024-01-01, 1 challenger refused'
    """
    decisions = decisions.filter(pl.col("state").is_in(["done", "refused"])).sort("at")
    if decisions.is_empty():
        return style.no_data("Champion: no decision yet")
    done, refused = decisions.filter(state="done"), decisions.filter(state="refused")
    places = {at: place for place, at in enumerate(decisions["at"].unique().sort())}
    figure, (ax,) = style.panels((9.5, 3))
    if done.height:
        x = [places[at] for at in done["at"]]
        ax.step([*x, len(places)], [*done["version"], done["version"][-1]], where="post", color=style.BLUE, linewidth=3)
        ax.scatter(x, done["version"].to_list(), color=style.BLUE, s=70, zorder=3)
    x = [places[at] for at in refused["at"]]
    ax.scatter(x, refused["version"].to_list(), color=style.VERMILION, s=70, marker="X")
    ax.set_xticks(list(places.values()), [f"{at:%-d %b %Y\n%H:%M}" for at in places])
    versions = decisions["version"].unique().sort().to_list()
    ax.set_yticks(versions, [f"version {version}" for version in versions])
    ax.set(xlim=(-0.5, len(places)), ylim=(min(versions) - 0.6, max(versions) + 0.6))
    handles = [Patch(color=style.BLUE, label="champion"), Patch(color=style.VERMILION, label="refused")]
    ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.3)
    current = f"version {done['version'][-1]} since {done['at'][-1]:%Y-%m-%d}" if done.height else "none"
    ax.set_title(f"Champion: {current}, {refused.height} challenger{'' if refused.height == 1 else 's'} refused")
    return figure


def _color(outcome: str) -> str:
    return _COLORS.get(outcome, style.VERMILION)

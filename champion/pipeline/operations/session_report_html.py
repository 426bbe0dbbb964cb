"""The morning look as one HTML file: figures inside, no scripts, nothing fetched from anywhere, all text escaped."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from champion import plots
from champion.base import clock
from champion.pipeline.operations.session_report import SessionReport
from champion.plots.style import crore_text
from champion.tracking.store import run_page

_SECTIONS = (
    ("Market", ("breadth", "turnover", "movers")),
    ("Quality", ("gates",)),
    ("Features, the month against the one before", ("drift",)),
    ("What the champion says, and what came of it", ("scores", "ic")),
)
_DPI = 90


def render(morning: SessionReport, home: Path, mlflow: str | None = None) -> str:
    """Return the page of a morning look; what there is no data for is a panel that says so.

    With the address of MLflow's pages each run leads to its own there; the page itself fetches nothing from it.
    """
    pages = Environment(
        loader=PackageLoader("champion.pipeline.operations", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    known = morning.rank_ic.sort("trade_date").tail(1)
    return pages.get_template("session_report.html").render(
        m=morning,
        home=home,
        made_at=clock.in_india(morning.made_at),
        turnover=crore_text(morning.market["turnover"]),
        live=f"{known['ic'].item():+.3f}" if known.height else "none yet",
        sections=_SECTIONS,
        run_pages={run.run_id: run_page(mlflow, run.experiment, run.run_id) for run in morning.runs if mlflow},
        figures={name: _image(figure) for name, figure in _figures(morning).items()},
    )


def _figures(morning: SessionReport) -> dict[str, Figure]:
    today = morning.moves.filter(pl.col("trade_date") == morning.session)
    return {
        "breadth": plots.breadth(morning.moves),
        "turnover": plots.turnover_by_session(morning.bars),
        "movers": plots.movers(today),
        "gates": plots.quality_gates(morning.gates),
        "drift": plots.feature_drift(morning.moved),
        "scores": plots.top_scores(morning.scores),
        "ic": plots.ic_series(morning.rank_ic),
    }


def _image(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI, bbox_inches="tight")
    return base64.b64encode(content.getvalue()).decode()

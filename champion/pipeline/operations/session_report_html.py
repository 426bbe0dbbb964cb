"""The session report as one HTML file with embedded figures, without scripts or external resources; text is escaped."""

import base64
import io
from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from champion import plots
from champion.base import clock
from champion.pipeline.operations.session_report import SessionReport
from champion.pipeline.targets import published
from champion.plots.style import crore_text
from champion.tracking.store import run_page


def render(report: SessionReport, home: Path, mlflow: str | None = None) -> str:
    """Return the page of a session report; a part without data shows a panel that says so.

    With the address of MLflow's pages, each run is a link; the page itself loads nothing from there.
    """
    templates = PackageLoader("champion.pipeline.operations", "")
    pages = Environment(loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    figures = {
        "breadth": plots.breadth(report.moves),
        "turnover": plots.turnover_by_session(report.bars),
        "movers": plots.movers(report.moves.filter(pl.col("trade_date") == report.session)),
        "gates": plots.quality_gates(report.gates),
        "drift": plots.feature_drift(report.moved),
        "scores": plots.top_scores(report.scores),
        "ic": plots.ic_series(report.rank_ic),
    }
    if report.paper is not None and report.paper.account.result is not None:
        figures["paper"] = plots.account_equity(report.paper.account.growth)
    last_ic = report.rank_ic.sort("trade_date").tail(1)
    return pages.get_template("session_report.html").render(
        report=report,
        home=home,
        made_at=clock.in_india(report.made_at),
        turnover=crore_text(report.market["turnover"]),
        targets=published.text(report.targets),
        live=f"{last_ic['ic'].item():+.3f}" if last_ic.height else "none yet",
        run_pages={run.run_id: run_page(mlflow, run.experiment, run.run_id) for run in report.runs if mlflow},
        figures={name: _image(figure) for name, figure in figures.items()},
    )


def _image(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=90, bbox_inches="tight")
    return base64.b64encode(content.getvalue()).decode()

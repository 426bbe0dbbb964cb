"""Quality figure: one row per gate with its result, value, limit and detail."""

import textwrap
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from champion.plots import style

_LINE, _LINES = 56, 2  # characters per line, and lines, of a detail
_COLUMNS = {"result": 0.01, "gate": 0.15, "value": 0.39, "limit": 0.5, "detail": 0.53}
_NUMBERS = ("value", "limit")
_PASSED, _ERROR = ("\N{CHECK MARK}", style.GREEN), ("\N{BALLOT X}", style.VERMILION)
_WARNING = ("\N{WARNING SIGN}", "#A56A00")


@style.plot(
    "Quality gates", "gate", "severity", "value", "limit", "passed", "detail", source="quality gates", nulls="keep"
)
def quality_gates(gates: pl.DataFrame) -> Figure:
    """Draw one row per gate: passed or its severity, value, limit and detail (shortened to two lines).

    Columns: gate, severity ('error' or 'warning'), value, limit, passed (null counts as not passed), detail.

    >>> row = {"gate": "rejected", "severity": "error", "value": 0.02, "limit": 0.01, "passed": False, "detail": "60"}
    >>> ax = quality_gates(pl.DataFrame([row])).axes[0]
    >>> ax.get_title(loc="left"), [text.get_text() for text in ax.texts[5:]]
    ('Quality gates: 0 of 1 passed', ['✗ error', 'rejected', '0.02', '0.01', '60'])
    """
    figure, (ax,) = style.panels((9.5, 1.3 + 0.46 * gates.height), grid="none")
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(gates.height - 0.5, -1))
    ax.set_title(f"Quality gates: {gates['passed'].sum()} of {gates.height} passed")
    for name in _COLUMNS:
        _write(ax, name, name, -0.75, color=style.GREY, fontsize=8.5)
    for place, gate in enumerate(gates.iter_rows(named=True)):
        if place % 2 == 0:
            ax.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", linewidth=0)
        mark, color = _PASSED if gate["passed"] else _ERROR if gate["severity"] == "error" else _WARNING
        word = "passed" if gate["passed"] else str(gate["severity"])
        _write(ax, "result", f"{mark} {word}", place, color=color, weight="bold")
        _write(ax, "gate", textwrap.shorten(str(gate["gate"]), 24, placeholder="…"), place, weight="bold")
        for name in _NUMBERS:
            _write(ax, name, "\N{EN DASH}" if gate[name] is None else f"{gate[name]:,.4g}", place)
        short = textwrap.shorten(gate["detail"] or "", _LINE * _LINES - 6, placeholder=" …")
        _write(ax, "detail", textwrap.fill(short, _LINE), place, fontsize=8, linespacing=1.25)
    return figure


def _write(ax: Axes, column: str, text: str, place: float, **look: Any) -> None:
    side = "right" if column in _NUMBERS else "left"
    ax.text(_COLUMNS[column], place, text, ha=side, va="center", **look)

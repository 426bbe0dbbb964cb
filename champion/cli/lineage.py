"""Commands for lineage: back from rows to the files they come of, forward from a file to what it touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from champion.base.file_modes import user_umask
from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson
from champion.errors import UsageError

if TYPE_CHECKING:
    from champion.pipeline.provenance.graph import Node, Trace

app = typer.Typer(help="Where data comes from, and where it went.", no_args_is_help=True)
Picture = Annotated[Path | None, typer.Option(help="Draw it into this file too: .png, .svg or .pdf.")]
_DIGEST = 10
_PICTURES = (".png", ".svg", ".pdf")


@app.command("back")
def back_to_files(
    dataset: Annotated[str, typer.Argument(help="Dataset, as predictions_equity_scores.")],
    session: Annotated[str, typer.Argument(help="Session, as 2024-12-31.")],
    picture: Picture = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a session of a dataset was made from, down to the published files, each link proved by its digest.

    Example: champion lineage back predictions_equity_scores 2024-12-31
    """
    from champion.pipeline.provenance.upstream import back  # noqa: PLC0415

    found = back(console.settings(), dataset, console.day(session))
    _show(found, f"{dataset} {session} and what it was made from", picture, as_json=as_json)


@app.command("forward")
def forward_from_file(
    file: Annotated[str, typer.Argument(help="Published file: its path, name, or the beginning of its SHA-256.")],
    picture: Picture = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a published file touched: rows, features, models, predictions.

    Example: champion lineage forward BhavCopy_NSE_CM_0_0_0_20240715_F_0000.csv.zip
    """
    from champion.pipeline.provenance.downstream import forward  # noqa: PLC0415

    found = forward(console.settings(), file)
    _show(found, f"{found.nodes[found.root].name} and what it touched", picture, as_json=as_json)


def _show(found: Trace, title: str, picture: Path | None, *, as_json: bool) -> None:
    if picture is not None:
        _draw(found, title, picture)
    if as_json:
        console.show(found.as_dict(), as_json=True)
        return
    for depth, node, told in found.walk():
        console.out.print(Text.assemble("  " * depth, *_line(node, told=told)), soft_wrap=True)
    sound = "every link holds: what lies there now is what was recorded"
    broken = [node.name for node in found.nodes.values() if node.state != "same"]
    console.out.print(
        sound if found.is_whole else Text.assemble(("does not hold", "bold red"), f": {', '.join(broken)}")
    )


def _line(node: Node, *, told: bool) -> list[tuple[str, str]]:
    name = console.printable(node.name)
    if told:
        return [(f"{name} {node.span} (above)", "dim")]
    state = "" if node.state == "same" else f" {node.state}"
    said = " ".join(filter(None, [node.span, node.digest[:_DIGEST], console.printable(node.note)]))
    return [(name, "bold"), (state, "bold red"), (f" {said}", "dim")]


def _draw(found: Trace, title: str, picture: Path) -> None:
    if picture.suffix.lower() not in _PICTURES:
        raise UsageError(f"{picture}: a picture is one of {', '.join(_PICTURES)}, by the end of its name")
    import polars as pl  # noqa: PLC0415

    from champion.plots.trace import trace_graph  # noqa: PLC0415

    figure = trace_graph(pl.DataFrame(found.rows), found.links, title=title)
    with user_umask():
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, dpi=110)

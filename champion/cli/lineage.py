"""Commands for lineage: back from a session to published files, forward from a file to its results."""

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

app = typer.Typer(help="Lineage of data, checked by digests.", no_args_is_help=True)
Picture = Annotated[Path | None, typer.Option(help="Also draw the graph into this file: .png, .svg or .pdf.")]
_DIGEST = 10
_PICTURES = (".png", ".svg", ".pdf")


@app.command("back")
def back_to_files(
    dataset: Annotated[str, typer.Argument(help="Dataset, such as predictions_equity_scores.")],
    session: Annotated[str, typer.Argument(help="Session, such as 2024-12-31.")],
    picture: Picture = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Trace a session of a dataset back to the published files, and check the digest of each link.

    Example: champion lineage back predictions_equity_scores 2024-12-31
    """
    from champion.pipeline.provenance.upstream import back  # noqa: PLC0415

    trace = back(console.settings(), dataset, console.day(session))
    _show(trace, f"{dataset} {session} and its inputs", picture, as_json=as_json)


@app.command("forward")
def forward_from_file(
    file: Annotated[str, typer.Argument(help="Published file: path, name, or first characters of its SHA-256.")],
    picture: Picture = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Trace a published file forward to rows, features, models and predictions.

    Example: champion lineage forward cm28JUN2024bhav.csv.zip
    """
    from champion.pipeline.provenance.downstream import forward  # noqa: PLC0415

    trace = forward(console.settings(), file)
    _show(trace, f"{trace.nodes[trace.root].name} and its results", picture, as_json=as_json)


def _show(trace: Trace, title: str, picture: Path | None, *, as_json: bool) -> None:
    if picture is not None:
        if picture.suffix.lower() not in _PICTURES:
            raise UsageError(f"{picture}: the name of a picture must end in one of {', '.join(_PICTURES)}")
        import polars as pl  # noqa: PLC0415

        from champion.plots.trace import trace_graph  # noqa: PLC0415

        figure = trace_graph(pl.DataFrame(trace.rows), trace.links, title=title)
        with user_umask():
            picture.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(picture, dpi=110)
    if as_json:
        console.show(trace.as_dict(), as_json=True)
        return
    for depth, node, repeated in trace.walk():
        console.out.print(Text.assemble("  " * depth, *_line(node, repeated=repeated)), soft_wrap=True)
    broken = ", ".join(node.name for node in trace.nodes.values() if node.state != "same")
    sound = "every link holds: each current digest equals the recorded one"
    console.out.print(sound if trace.is_whole else Text.assemble(("does not hold", "bold red"), f": {broken}"))


def _line(node: Node, *, repeated: bool) -> list[tuple[str, str]]:
    name = console.printable(node.name)
    if repeated:
        return [(f"{name} {node.span} (above)", "dim")]
    state = "" if node.state == "same" else f" {node.state}"
    details = " ".join(filter(None, [node.span, node.digest[:_DIGEST], console.printable(node.note)]))
    return [(name, "bold"), (state, "bold red"), (f" {details}", "dim")]

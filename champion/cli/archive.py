"""Commands for the addresses of a workspace's archive."""

from typing import Annotated

import typer

from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson

app = typer.Typer(help="The archive that this workspace reads.", no_args_is_help=True)


@app.command("ls")
def list_addresses(*, as_json: AsJson = False) -> None:
    """List the archive addresses of this workspace, and the one in use.

    Example: champion archive ls
    """
    from champion.sources.download.staging import Staging  # noqa: PLC0415

    chosen = console.settings()
    known = Staging(chosen.staging, chosen.archive).known()
    console.show({"asks": chosen.archive, "holds files of": ", ".join(known) or "none yet"}, as_json=as_json)


@app.command()
def add(
    address: Annotated[str, typer.Argument(help="Folder, file:// or http(s):// URL of the same archive.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Declare that another address is the same archive: it moved, or it is a mirror.

    The address that CHAMPION_LISTS names is that of the folder of lists; any other one is that of the archive.

    Example: champion archive add https://nsearchives.nseindia.com
    """
    from champion.pipeline.ingest.fetch import lists_staging  # noqa: PLC0415
    from champion.sources.download.staging import Staging  # noqa: PLC0415
    from champion.sources.download.transport import canonical, parse_address  # noqa: PLC0415

    chosen = console.settings()
    parse_address(address)
    added = canonical(address)
    places = [(chosen.staging, chosen.archive)]
    if chosen.lists is not None:
        places.append((lists_staging(chosen), chosen.lists))
    named = [folder for folder, base in places if canonical(base) == added]
    known = [base for folder in named or [chosen.staging] for base in Staging(folder, added).accept()]
    console.show({"holds files of": ", ".join(dict.fromkeys(known))}, as_json=as_json)

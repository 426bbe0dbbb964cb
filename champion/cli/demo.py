"""The demo: the whole pipeline on a simulated archive, with the flows that process real files."""

import os
import shlex
from collections.abc import Mapping
from datetime import date
from typing import Any

from champion.base.counting import quantity
from champion.base.file_modes import workspace_folder
from champion.cli.terminal import console
from champion.contracts.datasets import BARS, FEATURES, QUARANTINED_BARS
from champion.lake import Lake
from champion.security import prefect_login
from champion.settings import Settings
from champion.simulate import publish
from champion.tracking import registry

END = date(2024, 12, 31)


def run(base: Settings, instruments: int, start: date, signal: float, top: int, *, as_json: bool) -> None:
    """Run the demo in `<home>/demo`, so that simulated sessions never mix with real ones, and print the results."""
    is_demo = (base.home / "archive" / "simulation.json").exists()  # CHAMPION_HOME is the demo's workspace already
    home = base.home if is_demo else base.home / "demo"
    announce = console.stages(4, hidden=as_json)
    announce(f"simulating an exchange archive from {start}")
    with console.progress_bar(hidden=as_json) as progress:
        archive = publish(
            workspace_folder(home) / "archive",
            instruments=instruments,
            start=start,
            end=END,
            signal=signal,
            progress=lambda done, total: progress(done, total, "simulating the archive"),
        )
    os.environ |= {"CHAMPION_HOME": str(home), "CHAMPION_ARCHIVE": str(archive.root)}  # flows and kernels read these
    settings = console.settings()
    with console.flow_context(settings, hidden=as_json):
        from flows.market_data import historical_backfill  # noqa: PLC0415
        from flows.models import score_session, train_model  # noqa: PLC0415

        announce(f"backfilling {quantity(len(archive.sessions), 'session')}: lake, quality, features, warehouse")
        backfilled = historical_backfill(start, END)
        announce("training a model and judging it")
        trained = train_model(top=top)
        announce(f"scoring {archive.sessions[-1]}, the last session")
        champion_exists = trained["promoted"] or registry.alias_of(settings, registry.CHAMPION) is not None
        scored = score_session(archive.sessions[-1]) if champion_exists else {"outcome": "not done: no champion"}
    lake = Lake(settings.lake)
    done = {"backfill": backfilled["ingest"]["outcome"], "features": backfilled["features"]["outcome"]}
    done |= {"training": trained["training"], "scoring": scored["outcome"]}
    version = f"equity_price_predictor version {scored['version']}" if "version" in scored else "none: the gate refused"
    result = {
        "archive": f"{archive.root} ({quantity(archive.files_written, 'file')} written)",
        "sessions": len(lake.sessions(BARS)),
        "bars": lake.rows(BARS),
        "rejected rows": lake.rows(QUARANTINED_BARS),
        "feature rows": lake.rows(FEATURES),
        "champion": version,
        "rank IC, out of sample": f"{trained['rank_ic']:.4f} (t {trained['rank_ic_t']:.1f})",
        "account, a year": _account(trained, top),
        **_gate(trained),
        "scored session": scored.get("session", "none"),
        "steps": ", ".join(f"{name} {outcome}" for name, outcome in done.items()),
    }
    if as_json:
        console.show(result, as_json=True)
        return
    console.table("Champion demo", ["what", "result"], list(result.items()))
    _print_next_steps(settings)


def _account(trained: Mapping[str, Any], top: int) -> str:
    """Return what the simulated account of a training earned, or that there is none."""
    net, active = (trained.get(f"portfolio_{name}") for name in ("net_return", "active_return"))
    if net is None or active is None:
        return "not simulated"
    benchmark = f"benchmark without costs {net - active:+.1%}, active {active:+.1%}"
    return f"best {top}: net of charges {net:+.1%}, {benchmark}"


def _gate(trained: Mapping[str, Any]) -> dict[str, str]:
    """Return the verdict and sentence of each rule of the gate; its reasons if it was not asked again."""
    rules = trained.get("rules", [])
    found = {
        f"gate: {each['rule']}": f"{'passed' if each['passed'] else 'refused'}. {each['sentence']}" for each in rules
    }
    return found or {"gate": "; ".join(trained["reasons"])}


def _print_next_steps(settings: Settings) -> None:
    from champion.services import prefect  # noqa: PLC0415

    server, place = prefect.running(settings), prefect_login.place(settings)
    address = server.url if server else "starts with the next flow"
    login = f"\n{'':29}log in with the content of {place}" if place else ""
    console.out.print(
        f"""
Look around (this workspace is {settings.home}):
  export CHAMPION_HOME={shlex.quote(str(settings.home))} CHAMPION_ARCHIVE={shlex.quote(settings.archive)}
  champion status            the workspace on one screen
  champion report            the session report: market, quality, drift, scores
  champion ui                MLflow: runs, notebooks, the model registry
  champion lab               JupyterLab on the notebooks
  Prefect                    {address}   (champion stop ends it){login}""",
        markup=False,
        soft_wrap=True,
    )

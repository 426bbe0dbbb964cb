"""The demo: the whole pipeline on a simulated archive, with the flows that process real files."""

import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from champion.base.counting import quantity
from champion.base.file_modes import workspace_folder
from champion.cli.terminal import console
from champion.contracts.datasets import BARS, FEATURES, PREDICTIONS, QUARANTINED_BARS
from champion.lake import Lake
from champion.pipeline.maintenance import load_warehouse
from champion.security import prefect_login
from champion.settings import Settings
from champion.simulate import publish
from champion.tracking import registry

END = date(2024, 12, 31)
SCORED = 60
"""Sessions that the champion scores, at most an eighth of the archive's."""
CHALLENGER = "ridge"
"""The second model: about as good as the first, so the gate has no reason to replace the champion."""


def run(base: Settings, instruments: int, start: date, signal: float, top: int, *, as_json: bool) -> None:
    """Run the demo in `<home>/demo`, so that simulated sessions never mix with real ones, and print the results."""
    is_demo = (base.home / "archive" / "simulation.json").exists()  # CHAMPION_HOME is the demo's workspace already
    home = base.home if is_demo else base.home / "demo"
    announce = console.stages(5, hidden=as_json)
    announce(f"simulating an exchange archive from {start}")
    with console.progress_bar(hidden=as_json) as progress:
        archive = publish(
            workspace_folder(home) / "archive",
            instruments=instruments,
            start=start,
            end=END,
            signal=signal,
            progress=lambda done, total: progress(done, total, "simulating the archive"),
            with_mistakes=True,
        )
    os.environ |= {"CHAMPION_HOME": str(home), "CHAMPION_ARCHIVE": str(archive.root)}  # flows and kernels read these
    settings = console.settings()
    to_score = archive.sessions[-min(SCORED, max(1, len(archive.sessions) // 8)) :]
    trained_to = archive.sessions[-len(to_score) - 1]  # so that the scored sessions are out of sample
    with console.flow_context(settings, hidden=as_json):
        from flows.market_data import historical_backfill  # noqa: PLC0415
        from flows.models import train_model  # noqa: PLC0415

        announce(f"backfilling {quantity(len(archive.sessions), 'session')}: lake, quality, features, warehouse")
        backfilled = historical_backfill(start, END)
        announce(f"training a model on the sessions to {trained_to}, and judging it")
        trained = train_model(None, trained_to, top=top)
        announce(f"training a challenger ({CHALLENGER}), and comparing it with the first model")
        rival = train_model(None, trained_to, CHALLENGER, top=top)
        announce(f"scoring the last {quantity(len(to_score), 'session')} with the champion")
        scored = _score(settings, to_score, hidden=as_json)
    lake = Lake(settings.lake)
    done = {"backfill": backfilled["ingest"]["outcome"], "features": backfilled["features"]["outcome"]}
    done |= {"training": trained["training"], "challenger": rival["training"], "scoring": scored["outcome"]}
    version = f"{registry.MODEL} version {scored['version']}" if "version" in scored else "none: the gate refused"
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
        f"challenger, {CHALLENGER}": _verdict(rival),
        "scored sessions": f"{len(lake.sessions(PREDICTIONS))}, the last {scored.get('session', 'none')}",
        "steps": ", ".join(f"{name} {outcome}" for name, outcome in done.items()),
    }
    if as_json:
        console.show(result, as_json=True)
        return
    console.table("Champion demo", ["what", "result"], list(result.items()))
    _print_next_steps(settings)


def _score(settings: Settings, sessions: Sequence[date], *, hidden: bool) -> dict[str, Any]:
    """Score the sessions with the champion, the last one by the flow; return the flow's result.

    A notebook for each of the others would take minutes, so these are scored in this process.
    """
    from champion.pipeline.models.score import score_sessions  # noqa: PLC0415
    from flows import models  # noqa: PLC0415

    if registry.alias_of(settings, registry.CHAMPION) is None:
        return {"outcome": "not done: no champion"}
    known = set(Lake(settings.lake).sessions(PREDICTIONS, sessions[0]))
    if missing := [session for session in sessions[:-1] if session not in known]:
        with console.progress_bar(hidden=hidden) as progress:
            for number, _ in enumerate(score_sessions(settings, missing), start=1):
                progress(number, len(missing), "scoring")
        load_warehouse.load(settings, sessions[0], sessions[-1], (PREDICTIONS,))
    return dict(models.score_session(sessions[-1]))


def _verdict(trained: Mapping[str, Any]) -> str:
    """Return whether the gate promoted a trained version, and why not."""
    name = f"version {trained['version']}"
    return f"{name} is promoted" if trained["promoted"] else f"{name} is refused. {'; '.join(trained['reasons'])}"


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
    login = f"\n{'':9}log in with the content of {place}" if place else ""
    console.out.print(
        f"""
Three things to look at next (this workspace is {settings.home}):
  export CHAMPION_HOME={shlex.quote(str(settings.home))} CHAMPION_ARCHIVE={shlex.quote(settings.archive)}
  1. champion report            one session: market, quality, drift, scores, orders
  2. champion models history    why the gate promoted one model and refused the other
  3. champion lab               JupyterLab: the welcome notebook and the explorers
`champion serve` shows runs and models in MLflow, and schedules.
Prefect  {address}   (champion stop ends it){login}""",
        markup=False,
        soft_wrap=True,
    )

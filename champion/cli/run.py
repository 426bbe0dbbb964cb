"""Commands that run the pipeline: demo, simulate, daily, backfill, features, train, search, score."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import typer

from champion.base.counting import quantity
from champion.base.file_modes import user_umask
from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson, End, Force, Start

_SHOWN = 10  # recipes
Martingale = Literal["log", "price"]
_SIGNAL = "Planted predictability: 0 none, 1 strong, 2 very strong."
Session = Annotated[str | None, typer.Argument(help="Session, such as 2024-12-31; default: today in India.")]


def demo(
    instruments: Annotated[int, typer.Option(help="Number of simulated instruments.")] = 100,
    start: Annotated[str, typer.Option(help="First date of the archive, which ends on 2024-12-31.")] = "2023-01-02",
    signal: Annotated[float, typer.Option(help=_SIGNAL)] = 1.5,
    top: Annotated[int, typer.Option(min=1, help="Instruments that the simulated account holds.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline on a simulated archive: backfill, features, model, promotion, scores.

    Example: champion demo
    """
    from champion.cli import demo as demonstration  # noqa: PLC0415

    demonstration.run(console.settings(), instruments, console.day(start), signal, top, as_json=as_json)


def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder to write the archive into.")],
    start: Annotated[str, typer.Option(help="First date.")] = "2023-01-02",
    end: Annotated[str, typer.Option(help="Last date.")] = "2024-12-31",
    instruments: Annotated[int, typer.Option(min=1, help="Number of instruments.")] = 100,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same archive.")] = 7,
    signal: Annotated[float, typer.Option(help=_SIGNAL)] = 0.5,
    martingale: Annotated[
        Martingale, typer.Option(help="What has no drift without a signal: log, for ranks, or price, for profits.")
    ] = "log",
    *,
    as_json: AsJson = False,
) -> None:
    """Write a simulated archive in the exchange's file format.

    Example: champion simulate /tmp/archive --instruments 50 --signal 0
    """
    from champion.simulate import publish  # noqa: PLC0415

    with console.progress_bar(hidden=as_json) as progress, user_umask():
        archive = publish(
            folder,
            instruments=instruments,
            start=console.day(start),
            end=console.day(end),
            seed=seed,
            signal=signal,
            martingale=martingale,
            progress=lambda done, total: progress(done, total, "simulating"),
        )
    counts = {"sessions": len(archive.sessions), "files": archive.files, "written": archive.files_written}
    console.show({"archive": archive.root, **counts}, as_json=as_json)


def daily(session: Session = None, *, force: Force = False, as_json: AsJson = False) -> None:
    """Process one session: ingest, features, warehouse, scores.

    Example: champion daily 2024-12-31
    """
    from champion.pipeline.ingest import fetch  # noqa: PLC0415

    chosen, day = console.settings(), console.day(session) if session else None
    fetch.check(chosen)
    with console.flow_context(chosen, hidden=as_json):
        from flows.market_data import daily_market_data_pipeline  # noqa: PLC0415

        # Retries of the whole flow are for unattended runs; here the user sees the error and decides.
        result = daily_market_data_pipeline.with_options(retries=0)(day, force=force)
    console.show(result, as_json=as_json)


def backfill(
    start: Start,
    end: End,
    *,
    refresh: Annotated[bool, typer.Option(help="Fetch every session again, to get corrected files.")] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Ingest a range of sessions, build features and load the warehouse; completed steps are skipped.

    Progress is shown in percent, with an estimate of the remaining time.

    Example: champion backfill 2024-01-01 2024-12-31
    """
    from champion.pipeline.ingest import fetch  # noqa: PLC0415

    first, last, chosen = console.day(start), console.day(end), console.settings()
    fetch.check(chosen, first, last)
    with console.flow_context(chosen, hidden=as_json, lines=True):
        from flows import policy, ranges  # noqa: PLC0415
        from flows.market_data import historical_backfill  # noqa: PLC0415

        if chosen.task_runner != "threads" and not refresh:  # the backfill below skips these sessions
            ranges.ingest_ranges.with_options(task_runner=policy.task_runner(chosen))(first, last, force=force)
        result = historical_backfill(first, last, refresh=refresh, force=force)
    console.show(result, as_json=as_json)


def features(
    start: Start,
    end: End,
    feature_set: Annotated[
        str, typer.Option(help="Feature set: v1, technical, alpha158, or your own as module:SET.")
    ] = "v1",
    *,
    as_json: AsJson = False,
) -> None:
    """Build the features of a range of sessions, without a flow or a notebook.

    Example: champion features 2024-01-01 2024-12-31 --feature-set alpha158
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.pipeline.feature_store.build import build_features  # noqa: PLC0415
    from champion.pipeline.ingest import market_data_lock  # noqa: PLC0415
    from champion.settings.quality_limits import Limits  # noqa: PLC0415

    first, last, chosen = console.day(start), console.day(end), console.settings()
    lake, limits = Lake(chosen.lake), Limits.of(chosen)
    waiting = market_data_lock.changing(chosen, console.note)
    with console.progress_bar(hidden=as_json) as progress, waiting:
        built = build_features(lake, first, last, feature_set=feature_set, limits=limits, progress=progress)
    console.show({**built.totals, **({"cost": built.cost} if built.cost else {})}, as_json=as_json)


def train(  # noqa: PLR0913 - its options
    start: Annotated[str | None, typer.Option(help="First session; default: the first with features.")] = None,
    end: Annotated[str | None, typer.Option(help="Last session; default: the last with features.")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="logistic, random_forest, hist_gradient_boosting, ridge, pairwise, mean_of_ranks, lightgbm, or a path."
        ),
    ] = "logistic",
    horizon: Annotated[int, typer.Option(min=1, help="Horizon of the label in sessions.")] = 5,
    universe: Annotated[str, typer.Option(help="all, liquid, main_board, large, or filters as JSON.")] = "liquid",
    feature_set: Annotated[str, typer.Option(help="Feature set of the model inputs.")] = "v1",
    add: Annotated[
        list[str] | None, typer.Option(help="Your own feature, in the form module:FEATURE; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same model.")] = 7,
    *,
    target: Annotated[
        str, typer.Option(help="What the model learns: above_median, rank, excess or residual, and shorter horizons.")
    ] = "above_median",
    returns: Annotated[Literal["price", "total"], typer.Option(help="Label's returns: total has dividends.")] = "total",
    top: Annotated[int, typer.Option(min=1, help="Instruments that the simulated account holds.")] = 50,
    risk_limit: Annotated[
        float | None, typer.Option(help="Largest forecast risk a year of the account's targets, such as 0.15.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Train and register a challenger; the gate decides whether it becomes champion.

    With --add, missing features are built first. All model inputs are scale-free.

    Example: champion train --model hist_gradient_boosting
    """
    from champion.portfolio.construction import Rule  # noqa: PLC0415

    first, last = (console.day(text) if text else None for text in (start, end))
    features = "+".join([feature_set, *(add or ())])
    Rule(top=top, risk_limit=risk_limit)  # refuses a wrong value before servers start
    _require_trainable(model, target, universe, features, first, last)
    with console.flow_context(console.settings(), hidden=as_json):
        from flows.models import train_model  # noqa: PLC0415

        result = train_model(
            first,
            last,
            model,
            target=target,
            horizon=horizon,
            universe=universe,
            returns=returns,
            top=top,
            risk_limit=risk_limit,
            feature_set=features,
            seed=seed,
            force=force,
        )
    console.show(result, as_json=as_json)


def _require_trainable(
    model: str, target: str, universe: str, feature_set: str, first: date | None, last: date | None
) -> None:
    """Refuse names that do not exist, missing features and dates that no list covers, before servers start."""
    from champion.lake import Lake  # noqa: PLC0415
    from champion.modeling import estimators, targets  # noqa: PLC0415 - the flow imports scikit-learn too
    from champion.modeling.universe import find  # noqa: PLC0415
    from champion.pipeline.models import frames  # noqa: PLC0415
    from champion.pipeline.models.model_columns import model_columns  # noqa: PLC0415

    targets.parse(target)
    estimators.Recipe(model).make()
    model_columns(feature_set)
    # The flow builds what is missing of a set that extends another, from the sessions of the other.
    base = feature_set.partition("+")[0]
    frames.trainable_sessions(Lake(console.settings().lake), first, last, universe=find(universe), feature_set=base)


def search(
    space: Annotated[
        str, typer.Argument(help="TOML file, a name in the workspace's folder searches, or example.", metavar="SPACE")
    ],
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Trainings at a time; default: one for two cores, on Dask all.")
    ] = None,
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Show recipes and cost; train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train all recipes of a space, count each as a trial, and choose among them without looking ahead.

    What is done is skipped, so the same command resumes a search. Nothing is promoted.

    Example: champion search example --plan
    """
    from champion.pipeline.search import outcomes, plan as plans, report, space as spaces  # noqa: PLC0415

    chosen = console.settings()
    wanted = spaces.read(chosen, space)
    if plan or not any("+" in name for name in wanted.recipe.feature_set):  # the flow builds features of such sets
        planned = plans.make(chosen, wanted)
        cost = plans.cost(chosen, planned, parallel or plans.AT_A_TIME)
        if plan:
            recipes = {str(number): one.text for number, one in enumerate(planned.recipes, start=1)}
            span = {"search": planned.id, "start": planned.start, "end": planned.end}
            later = {"proposed_later": planned.later} if planned.later else {}
            console.show({"cost": cost.text, **span, **later, "recipes": recipes}, as_json=as_json)
            return
        console.note(f"{wanted.name}, {planned.start} to {planned.end}: {cost.text}")
    with console.flow_context(chosen, hidden=as_json, lines=True):
        from flows import policy  # noqa: PLC0415
        from flows.models import search_recipes  # noqa: PLC0415

        result = search_recipes.with_options(task_runner=policy.task_runner(chosen))(space, parallel=parallel)
    found = outcomes.read(chosen, result["search"])
    tried = report.table(chosen, found)
    if as_json:
        console.show({**result, "table": tried.rows(named=True)}, as_json=True)
        return
    shown = tried.filter(pl.col("error").is_null()).head(_SHOWN)
    columns = ["recipe", "version", "trial", "net_active_return", "sharpe", "rank_ic", "text", "run"]
    rows = [[*row[:-1], (row[-1] or "")[:8]] for row in shown.select(columns).rows()]
    titles = ["recipe", "version", "trial", "net active", "Sharpe", "rank IC", "what", "run"]
    console.table(f"{quantity(len(found.recipes), 'recipe')}, the {len(rows)} with the highest Sharpe", titles, rows)
    for sentence in report.sentences(found, result):
        console.out.print(sentence, soft_wrap=True)


def score(
    session: Annotated[str, typer.Argument(help="Session, such as 2024-12-31.")],
    *,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Score a session with the champion model.

    Example: champion score 2024-12-31
    """
    from champion.pipeline.models import score as scoring  # noqa: PLC0415

    chosen, day = console.settings(), console.day(session)
    scoring.require_scorable(chosen, day)
    with console.flow_context(chosen, hidden=as_json):
        from flows.models import score_session  # noqa: PLC0415

        result = score_session(day, force=force)
    console.show(result, as_json=as_json)

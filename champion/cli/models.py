"""Commands for models (list, promote, compare, rollback, repair, begin, history) and trials (show, declare, begin)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from champion.base import clock
from champion.base.counting import quantity
from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson
from champion.errors import UsageError
from champion.tracking import promotion, recovery, registry

app = typer.Typer(help="Model versions, the champion, and promotion.", no_args_is_help=True)
trials_app = typer.Typer(help="Recipes whose forward returns were seen.", invoke_without_command=True)
_SHORT = 8  # characters of a run id; `champion notebook show` accepts them
Reason = Annotated[str, typer.Option(help="Reason, stored in the ledger.")]


@app.command("list")
def list_versions(*, as_json: AsJson = False) -> None:
    """List the versions of equity_price_predictor.

    Example: champion models list
    """
    found = registry.versions(console.settings())
    if as_json:
        shown = {
            str(v.number): {"aliases": v.aliases, "run": v.run_id, "tags": v.tags, "problem": v.problem} for v in found
        }
        console.show(shown, as_json=True)
        return
    rows = [
        [
            v.number,
            ", ".join(v.aliases),
            clock.in_india(v.created),
            v.tags.get("champion.model", ""),
            v.feature_version,
            v.tags.get("champion.learnt_to", ""),
            v.run_id[:_SHORT],
        ]
        for v in found
    ]
    columns = ["version", "aliases", "created (IST)", "model", "features", "trained to", "run"]
    console.table(registry.MODEL, columns, rows)
    for v in found:
        if v.problem:
            console.out.print(f"version {v.number}: {v.problem}", soft_wrap=True)


@app.command()
def promote(
    version: Annotated[int, typer.Argument(help="Version to make champion.")],
    reason: Reason = "",
    *,
    force: Annotated[bool, typer.Option("--force", help="Override the gate; needs --reason.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a version champion if it passes each rule of the gate.

    Example: champion models promote 3
    """
    from champion.pipeline.models.evaluate import promote_with_report  # noqa: PLC0415
    from champion.runner import NotebookRequest, run_notebook  # noqa: PLC0415

    if force and not reason.strip():
        raise UsageError("--force needs --reason: the ledger stores why the gate was overridden")
    chosen = console.settings()
    registry.find(chosen, version)  # refuses a wrong number before a kernel starts
    with console.progress_bar(hidden=as_json) as progress:
        request = NotebookRequest("promotion", {"version": version}, on_progress=progress)
        decision, report = promote_with_report(
            chosen, version, lambda: run_notebook(chosen, request), reason=reason, force=force, strict=True
        )
    _show_decision({**decision, "report": report}, as_json=as_json)


@app.command()
def compare(
    version: Annotated[int, typer.Argument(help="Version to evaluate.")],
    against: Annotated[int | None, typer.Argument(help="Version to compare it with; default: the champion.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the gate's decision about a version, with the figure and threshold of each rule; nothing is decided.

    Example: champion models compare 3 2
    """
    from champion.pipeline.models.evaluate import evaluate  # noqa: PLC0415

    evaluation = evaluate(console.settings(), version, promotion.ANY_CHAMPION if against is None else against)
    decision = evaluation.decision
    judged = {"version": version, "against": evaluation.champion, "promote": decision.promote}
    _show_decision({**judged, "reasons": list(decision.reasons), **evaluation.evidence}, as_json=as_json)


def _show_decision(decision: dict[str, Any], *, as_json: bool) -> None:
    """Print a decision of the gate; without JSON its rules are a table, which has the reasons."""
    if as_json:
        console.show(decision, as_json=True)
        return
    rules = decision.pop("rules")
    if rules:
        decision.pop("reasons")
    rows = [[each["rule"], each["figure"], each["threshold"], _verdict(each), each["sentence"]] for each in rules]
    console.show(decision, as_json=False)
    console.table("Rules of the gate", ["rule", "figure", "threshold", "verdict", "why"], rows)


def _verdict(rule: Mapping[str, Any]) -> str:
    return "passed" if rule["passed"] else "refused"


@app.command()
def rollback(reason: Reason, *, as_json: AsJson = False) -> None:
    """Make the previous champion the champion again.

    Example: champion models rollback --reason "live IC fell"
    """
    entry = promotion.rollback(console.settings(), reason=reason)
    console.show({"version": entry.version, "previous": entry.previous, "at": entry.at}, as_json=as_json)


@app.command()
def repair(*, as_json: AsJson = False) -> None:
    """Set the alias `champion` to the ledger's champion, and complete an interrupted promotion.

    Example: champion models repair
    """
    chosen = console.settings()
    before, now = recovery.realign(chosen), promotion.current_champion(chosen)
    console.show({"alias before": before, "champion": now.version if now else None}, as_json=as_json)


@app.command()
def begin(reason: Reason, *, as_json: AsJson = False) -> None:
    """Start a new promotion ledger if the old one is damaged, lost, or belongs to another registry.

    The old ledger is kept beside it. The version with the alias `champion` stays champion.

    Example: champion models begin --reason "restored from 2024-12-01"
    """
    entry = recovery.begin(console.settings(), reason=reason)
    shown = {"champion": entry.version or None, "wrong": entry.evidence["wrong"], "kept": entry.evidence["kept"]}
    console.show(shown, as_json=as_json)


@app.command()
def history(
    on: Annotated[str | None, typer.Option(help="Show the champion at the end of this date in India.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show all promotion decisions with the verdict of each rule, or the champion on a date.

    Example: champion models history --on 2024-12-31
    """
    chosen = console.settings()
    if on is not None:
        entry = promotion.champion_on(chosen, console.day(on))
        console.show({"on": on, "version": entry.version if entry else None}, as_json=as_json)
        return
    entries = promotion.history(chosen)
    if as_json:
        found = [[e.at, e.kind, e.state, e.version, e.reason, e.evidence.get("rules", [])] for e in entries]
        console.show({"decisions": found}, as_json=True)
        return
    rows = [
        [
            clock.in_india(e.at),
            f"{e.kind}, forced" if e.forced else e.kind,
            e.state,
            e.version or None,
            e.previous,
            ", ".join(f"{each['rule']} {_verdict(each)}" for each in e.evidence.get("rules", [])) or None,
            e.reason or "; ".join(e.reasons),
        ]
        for e in entries
    ]
    console.table("Decisions", ["at (IST)", "kind", "state", "version", "previous", "rules", "why"], rows)


@trials_app.callback()
def list_trials(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the recipes whose forward returns were seen, with the figures of their portfolios.

    Example: champion trials
    """
    if context.invoked_subcommand is not None:
        return
    from champion.pipeline.models import trials  # noqa: PLC0415

    chosen = console.settings()
    found = trials.frame(chosen)
    counted = trials.counted(found)
    summary = {"total": counted.total, "with_series": counted.with_series, "independent": counted.independent}
    if as_json:
        console.show({**summary, "trials": found.rows(named=True)}, as_json=True)
        return
    rows = [
        [
            row["recorded"],
            row["id"],
            row["recipe"],
            row["sessions"] or None,
            row["net_active_return"],
            row["sharpe"],
            row["source"] if row["count"] == 1 else f"{row['source']}, {quantity(row['count'], 'trial')}",
            (row["run"] or "")[:_SHORT] or None,
        ]
        for row in found.rows(named=True)
    ]
    columns = ["date", "id", "recipe", "sessions", "net active", "Sharpe", "source", "run"]
    console.table(f"Trials: {quantity(counted.total, 'trial')}, {counted.independent} without a series", columns, rows)


@trials_app.command("show")
def show_trial(
    trial: Annotated[str, typer.Argument(help="Id of the trial, or its beginning.")], *, as_json: AsJson = False
) -> None:
    """Show a trial: its recipe, and each look with its sessions, data, run and result.

    Example: champion trials show 3f2a
    """
    from champion.pipeline.models import trials  # noqa: PLC0415
    from champion.tracking.trials.entry import content  # noqa: PLC0415

    known = trials.recorded(console.settings())
    found = [one for one in known if one.id == trial] or [one for one in known if one.id.startswith(trial)]
    if len(found) != 1:
        which = "is the beginning of " + ", ".join(one.id for one in found) if found else "is the id of no trial"
        raise UsageError(f"{trial!r} {which}: `champion trials` lists them")
    (one,) = found
    looks = [{"look": content(look), "result": content(result) if (result := one.results.get(look.id)) else None}
             for look in one.looks]  # fmt: skip
    console.show({"id": one.id, "count": one.count, "recipe": dict(one.recipe), "looks": looks}, as_json=as_json)


@trials_app.command("declare")
def declare_trials(
    number: Annotated[int, typer.Argument(help="Number of trials.")],
    note: Annotated[str, typer.Option(help="What was tried, and how.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Count trials that Champion cannot see, such as forward returns computed by own code.

    Example: champion trials declare 12 --note "momentum windows in a spreadsheet"
    """
    from champion.pipeline.models import trials  # noqa: PLC0415

    chosen = console.settings()
    entry = trials.declare(chosen, number, note)
    console.show(
        {"declared": entry.count, "note": entry.note, "total": sum(one.count for one in trials.recorded(chosen))},
        as_json=as_json,
    )


@trials_app.command("begin")
def begin_trials(reason: Reason, *, as_json: AsJson = False) -> None:
    """Start a new trial ledger if the old one is damaged or lost lines; the trials in lost lines are declared.

    The old ledger is kept beside it.

    Example: champion trials begin --reason "restored from 2024-12-01"
    """
    from champion.tracking.trials import ledger  # noqa: PLC0415

    entry = ledger.begin(console.settings(), reason=reason)
    console.show({"declared": entry.count if entry.kind == "declare" else 0, "note": entry.note}, as_json=as_json)


def portfolio(  # noqa: PLR0913 - its options
    which: Annotated[
        str, typer.Argument(help="Model version, as 3 or champion, or the id of a training run.")
    ] = "champion",
    top: Annotated[int | None, typer.Option(min=1, help="Instruments to hold.")] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Weekdays between two decisions.")] = None,
    capital: Annotated[float | None, typer.Option(help="Capital in rupees.")] = None,
    plan: Annotated[str | None, typer.Option(help="Brokerage plan: discount, institution or none.")] = None,
    participation: Annotated[float | None, typer.Option(help="Largest share of a session's volume.")] = None,
    impact: Annotated[float | None, typer.Option(help="Coefficient of the square-root impact.")] = None,
    risk_limit: Annotated[float | None, typer.Option(help="Largest forecast risk a year, such as 0.15.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Simulate a long-only account that follows the out-of-sample scores of a version or training, after all costs.

    What is not given is as in the training; the output shows it. Another rule, capital or plan counts as another trial:
    see `champion trials`.

    Example: champion portfolio champion --top 20 --capital 1000000
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.pipeline.models import looks, recipes, trials  # noqa: PLC0415
    from champion.pipeline.models.evaluate import scores  # noqa: PLC0415
    from champion.pipeline.models.index_comparison import compare  # noqa: PLC0415
    from champion.pipeline.models.portfolio import phases, simulate  # noqa: PLC0415
    from champion.pipeline.models.portfolio_report import require_invested  # noqa: PLC0415

    chosen = console.settings()
    name, scored = scores(chosen, which)
    given = {"capital": capital, "plan": plan, "participation": participation, "impact": impact}
    rule, rules = recipes.changed(
        looks.construction(chosen, which, scored), top=top, every=every, risk_limit=risk_limit, **given
    )
    result = require_invested(simulate(scored, rule, rules, lake=Lake(chosen.lake)))
    trial = looks.record_rule(chosen, scored, result.active, rule, rules, source="portfolio", which=which)
    account, cuts, active = result.account.account, result.account.cuts, result.active["active"]
    others = phases(scored, rule, rules, arrays=result.market, lake=Lake(chosen.lake))["net_return"]
    compared = compare(result, Lake(chosen.lake))
    shown = {
        "scores": name,
        "from": result.growth["trade_date"][0],
        "to": account["trade_date"][-1],
        "rule": asdict(rule),
        **{name: getattr(rules, name) for name in ("capital", "plan", "participation", "impact", "haircut")},
        "equity": round(account["equity"][-1], 2),
        "benchmark_equity": round(result.benchmark.account["equity"][-1], 2),
        **{name: round(value, 4) for name, value in (result.summary | compared.metrics).items()},
        **({} if active.is_empty() else {"net_active_return": round(trials.figures(active)[0], 4)}),
        "net_return_phases": [round(float(each), 4) for each in (others.min(), others.max())],  # type: ignore[arg-type]
        "benchmarks": compared.texts,
        "fills": result.account.trades.height,
        "trial": trial,
        "left_out": result.left_out.counts,
        "notes": list(result.notes),
        "cuts": dict(cuts["reason"].value_counts(sort=True).iter_rows()),
    }
    console.show(shown, as_json=as_json)

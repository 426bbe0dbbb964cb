"""The command that simulates what a model's scores would have earned."""

from typing import Annotated

import typer

from champion.cli.terminal import console
from champion.cli.terminal.console import AsJson


def portfolio(
    version: Annotated[str, typer.Argument(help="Model version, by number or alias, as 3 or champion.")] = "champion",
    top: Annotated[int, typer.Option(min=1, help="Instruments to hold.")] = 50,
    every: Annotated[int, typer.Option(min=1, help="Sessions between two decisions.")] = 5,
    capital: Annotated[float, typer.Option(help="Capital in rupees.")] = 1e7,
    plan: Annotated[str, typer.Option(help="Brokerage plan: discount, institution or none.")] = "discount",
    participation: Annotated[float, typer.Option(help="Largest share of a session's volume.")] = 0.05,
    impact: Annotated[float, typer.Option(help="Coefficient of the square-root impact.")] = 1.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Simulate a long-only account that follows a version's out-of-sample scores, after all costs.

    Example: champion portfolio champion --top 20 --capital 1000000
    """
    from champion.lake import Lake  # noqa: PLC0415
    from champion.pipeline.models.evaluate import out_of_sample  # noqa: PLC0415
    from champion.pipeline.models.portfolio import MarketRules, Rule, simulate  # noqa: PLC0415
    from champion.tracking import registry  # noqa: PLC0415

    chosen = console.settings()
    found = registry.find(chosen, int(version) if version.isdigit() else version)
    rules = MarketRules(capital=capital, plan=plan, participation=participation, impact=impact)
    rule = Rule(top=top, every=every, cap=max(0.1, 1 / top))
    result = simulate(out_of_sample(chosen, found), rule, rules, lake=Lake(chosen.lake))
    account, cuts = result.account.account, result.account.cuts
    shown = {
        "version": found.number,
        "from": account["trade_date"][0],
        "to": account["trade_date"][-1],
        "capital": capital,
        "equity": round(account["equity"][-1], 2),
        "benchmark_equity": round(result.benchmark.account["equity"][-1], 2),
        **{name: round(value, 4) for name, value in result.summary.items()},
        "fills": result.account.trades.height,
        "cuts": dict(cuts["reason"].value_counts(sort=True).iter_rows()),
    }
    console.show(shown, as_json=as_json)

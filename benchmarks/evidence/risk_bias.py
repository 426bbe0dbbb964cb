"""Does the factor risk model forecast the risk of real shares, by year?

`.venv/bin/python benchmarks/evidence/risk_bias.py HOME [--start 2019-01-01] [--end 2024-12-31] [--universe liquid]
[--results FOLDER]` fits the model on the bars of a workspace, standardises the returns of named test portfolios, and
prints bias statistics by year: 1 is right, above 1 the model forecast too little risk. Forecasts of one session have no
lags, those of five sessions five. The model's own account is the best 50 of `--scores FILE`, a Parquet file with
trade_date, instrument_id and score, decided weekly; without it, of the calmest shares, the bet that scores make most
easily. `--results` keeps the standardised returns of each piece (a horizon), so that a stopped run continues.
"""

from pathlib import Path

import polars as pl

import champion as ch
from benchmarks import meter
from champion.lake import Lake
from champion.modeling import risk
from champion.modeling.risk.covariance import Floats
from champion.modeling.risk.model import RiskModel
from champion.portfolio.construction import Rule, target_weights

HORIZONS = (1, 5)
_SHOWN = ("equal-weighted", "account", "active account")
_KINDS = {"top style": "^top style_", "active style": "^active top style_", "sector": "^sector ",
          "active sector": "^active sector ", "random": "^random ", "active random": "^active random "}  # fmt: skip


def pieces(model: RiskModel, account: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Return the standardised returns of all portfolios over a horizon."""
    named = risk.portfolios_of(model)
    days = {day: rows for (day,), rows in account.partition_by("trade_date", as_dict=True).items()}
    held = dict[str, float]()

    def all_of(forecast: risk.Forecast) -> dict[str, Floats]:
        found = dict(named(forecast))
        passed = [day for day in days if day <= forecast.day]
        if not passed:
            return found
        held.clear()
        held.update(days[max(passed)].select("instrument_id", "weight").iter_rows())
        weights, _ = forecast.weights(held)
        return found | {"account": weights, "active account": weights - found["equal-weighted"]}

    return risk.standardised(model, all_of, horizon=horizon)


def shown(values: pl.DataFrame) -> pl.DataFrame:
    """Return a row per portfolio or kind of portfolios and a column per year: the bias, of kinds the mean bias."""
    biased = risk.bias_by_year(values).with_columns(year=pl.col("year").cast(pl.String).fill_null("all"))
    single = biased.filter(pl.col("portfolio").is_in(_SHOWN) | pl.col("portfolio").str.contains("^(active )?top "))
    of_kinds = [
        biased.filter(pl.col("portfolio").str.contains(pattern))
        .group_by("year")
        .agg(pl.col("bias").mean())
        .with_columns(portfolio=pl.lit(f"mean of {kind}"))
        for kind, pattern in _KINDS.items()
    ]
    rows = pl.concat(
        [single.select("portfolio", "year", "bias"), *(one.select("portfolio", "year", "bias") for one in of_kinds)]
    )
    years = sorted(rows["year"].unique())
    return rows.pivot("year", index="portfolio", values="bias").select("portfolio", *years).sort("portfolio")


def calmest(model: RiskModel) -> pl.DataFrame:
    """Return scores that rank calm shares first."""
    place = model.factors.index("style_volatility")
    rows = []
    for row, day in enumerate(model.sessions):
        places, exposed = model.exposed(row)
        names = [model.instruments[one] for one in places]
        rows.append(
            pl.DataFrame({"instrument_id": names, "score": -exposed[:, place]}).with_columns(trade_date=pl.lit(day))
        )
    return pl.concat(each for each in rows if each.height)


def main() -> None:
    options = meter.arguments(
        __doc__, {"home": Path}, start="2019-01-01", end="2024-12-31", universe="liquid", scores=Path, results=Path
    )
    lake = Lake(options.home / "lake")
    for horizon in HORIZONS:
        kept = options.results / f"bias_{horizon}.parquet" if options.results else None
        if kept and kept.exists():
            values = pl.read_parquet(kept)
        else:
            estimation = risk.Estimation(lags=0 if horizon == 1 else horizon)
            model = ch.portfolio.risk_model(
                options.start, options.end, universe=options.universe, estimation=estimation, lake=lake
            )
            scores = pl.read_parquet(options.scores) if options.scores else calmest(model)
            values = pieces(model, target_weights(scores, Rule()), horizon)
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                values.write_parquet(kept)
        print(f"horizon {horizon}: {values['trade_date'].n_unique()} periods, {meter.cpu_seconds():.0f} CPU s")
        with pl.Config(tbl_rows=-1, tbl_cols=-1, float_precision=2, tbl_hide_dataframe_shape=True, fmt_str_lengths=40):
            print(shown(values))


if __name__ == "__main__":
    main()

"""Infer price bands from bars, where no published list covers a date. Every result is labelled `inferred`.

1. A bar fits a band if its high and low lie within the limits of `price_limits`. Its own band is the narrowest that it
   fits; a bar that fits none below 40% says nothing (corporate action, first day).
2. A bar hits its own band if its high equals the upper or its low the lower limit. Ordinary trading often ends at 2%,
   so a hit of 2% counts only if no bar of the ten before went further and one of them hit 2% too.
3. A hit is evidence of the band if no bar of the ten before went further, or one of them hit the same band, or the
   security was locked (high equals low).
4. The band is that of the last evidence within 60 bars, unless a later bar went further: then it is unknown, and
   `at_least` is the widest own band of the last 20 bars.

A result of a session uses bars up to its close only, so it applies to the next session. The previous close is as
published; a band cannot be inferred across an ex-date, whose bar fits none.
"""

import polars as pl

from champion.market.reference.price_limits import lower, paise, tick, upper

BANDS = (2, 5, 10, 20)
INFERRED = "inferred"
_NARROWEST, _TOO_WIDE = BANDS[0], 99
_BEFORE, _FRESH, _WIDEST = 10, 60, 20  # bars
_COLUMNS = ("instrument_id", "trade_date", "series", "hit_high", "hit_low", "band_percent", "at_least", "evidence_date")
_ID = "instrument_id"


def infer(bars: pl.DataFrame) -> pl.DataFrame:
    """Return what each bar says about the price band of its security, sorted by instrument and session.

    `bars` has instrument_id, trade_date, series, prev_close, high and low (rupees, null where unknown). Columns:

    - instrument_id, trade_date, series
    - hit_high, hit_low: the high (low) is the limit of the narrowest band that the bar fits
    - band_percent: the band after this session, so of the next; null if unknown
    - at_least: the widest of 2, 5, 10, 20 that a bar of the last 20 needed; null if there is none
    - evidence_date: the session of the last evidence for band_percent
    - basis: `inferred`

    >>> from datetime import date
    >>> days = [date(2020, 12, day) for day in (1, 2, 3)]
    >>> prices = {"prev_close": [100.0, 105.0, 99.75], "high": [105.0, 107.0, 101.0], "low": [105.0, 99.75, 98.0]}
    >>> bars = pl.DataFrame({"instrument_id": ["NSE:A"] * 3, "trade_date": days, "series": ["EQ"] * 3, **prices})
    >>> infer(bars).select("hit_high", "hit_low", "band_percent").rows()
    [(True, False, 5), (False, True, 5), (False, False, 5)]
    """
    marked = _with_hits(bars.sort(_ID, "trade_date"))
    return _with_band(marked).select(*_COLUMNS, basis=pl.lit(INFERRED))


def _with_hits(bars: pl.DataFrame) -> pl.DataFrame:
    """Add `place` (the bar's number), `own` (99 if it fits no band), `hit_high` and `hit_low`."""
    previous = paise(pl.col("prev_close"))
    known = bars.with_columns(
        previous=previous,
        top=paise(pl.col("high")),
        bottom=paise(pl.col("low")),
        place=pl.int_range(pl.len()).over(_ID),
    ).with_columns(step=tick(pl.col("trade_date"), pl.col("series"), pl.col("previous")))
    close, step = pl.col("previous"), pl.col("step")
    limits = {band: (upper(close, pl.lit(band), step), lower(close, pl.lit(band), step)) for band in BANDS}
    fits = {band: (pl.col("top") <= high) & (pl.col("bottom") >= low) for band, (high, low) in limits.items()}

    def of_own(choose: dict[int, pl.Expr]) -> pl.Expr:
        return pl.coalesce(*(pl.when(fits[band]).then(choose[band]) for band in BANDS))

    own = of_own({band: pl.lit(band) for band in BANDS}).fill_null(_TOO_WIDE)
    at_high = of_own({band: pl.col("top") == high for band, (high, _) in limits.items()})
    at_low = of_own({band: pl.col("bottom") == low for band, (_, low) in limits.items()})
    marked = known.with_columns(own=own, at_high=at_high.fill_null(value=False), at_low=at_low.fill_null(value=False))
    return _confirmed(marked.with_columns(touched=pl.col("at_high") | pl.col("at_low")))


def _confirmed(marked: pl.DataFrame) -> pl.DataFrame:
    """Add the hits, `narrow` (no bar of the ten before went further) and `repeated` (one of them hit the same band)."""
    widest = pl.col("own").rolling_max(_BEFORE, min_samples=1).shift(1).over(_ID)
    last = [
        pl.when(pl.col("touched") & (pl.col("own") == band)).then("place").forward_fill().shift(1).over(_ID)
        for band in BANDS
    ]
    same = pl.coalesce(*(pl.when(pl.col("own") == band).then(at) for band, at in zip(BANDS, last, strict=True)))
    repeated = (pl.col("place") - same <= _BEFORE).fill_null(value=False)
    marked = marked.with_columns(narrow=(widest <= pl.col("own")).fill_null(value=True), repeated=repeated)
    usual = (pl.col("own") > _NARROWEST) | (pl.col("narrow") & pl.col("repeated"))
    return marked.with_columns(hit_high=pl.col("at_high") & usual, hit_low=pl.col("at_low") & usual)


def _with_band(marked: pl.DataFrame) -> pl.DataFrame:
    """Add band_percent, at_least and evidence_date."""
    is_locked = pl.col("top") == pl.col("bottom")
    is_hit = pl.col("hit_high") | pl.col("hit_low")
    evidence = is_hit & (pl.col("narrow") | pl.col("repeated") | is_locked)
    judged = marked.with_columns(evidence=evidence).with_columns(
        episode=pl.col("evidence").cum_sum().over(_ID),
        last_band=pl.when("evidence").then("own").forward_fill().over(_ID),
        last_place=pl.when("evidence").then("place").forward_fill().over(_ID),
        last_date=pl.when("evidence").then("trade_date").forward_fill().over(_ID),
        needed=pl.when(pl.col("own") != _TOO_WIDE).then("own"),
    )
    further = (pl.col("needed") > pl.col("last_band")).fill_null(value=False).cum_max().over(_ID, "episode")
    is_fresh = pl.col("place") - pl.col("last_place") <= _FRESH
    counts = is_fresh & ~further
    return judged.with_columns(
        band_percent=pl.when(counts).then("last_band"),
        evidence_date=pl.when(counts).then("last_date"),
        at_least=pl.col("needed").rolling_max(_WIDEST, min_samples=1).over(_ID),
    )

"""Feature set alpha158: the 158 columns of Qlib's Alpha158, with Qlib's names, formulas and order (Qlib 0.9).

Source: `qlib.contrib.data.loader.Alpha158DL` of Microsoft's Qlib (MIT licence); each feature's doc is its formula in
Qlib's language. 9 columns describe the bar, 4 its prices, and 29 operators use windows of 5, 10, 20, 30 and 60 bars. No
column has a unit: prices are divided by the close, volumes by the volume.

Where both have a value, the values are equal. They differ in nulls:

1. A value is null until its window is full. Qlib starts each window with the first bar, so its MA60 may be a mean of 3
   bars, which is not comparable with a full window.
2. A window counts an instrument's own bars. Qlib counts sessions of the calendar, with suspended ones as missing.
3. Undefined values are null, not NaN: RSQR and CORR of constant prices (standard deviation up to 0.00002, as in Qlib),
   and VWAP0 of a session without volume. CORD leaves out bars that follow a volume of 0, as Qlib does.

Standard deviations are of a sample. The formulas keep Qlib's 1e-12: on a session without volume, VMA and VSTD are about
1e12 times the volume of other bars, so rank them.
"""

from __future__ import annotations

import polars as pl

from champion.features.alpha158.kernel import KERNEL, needs
from champion.features.sets import Feature, FeatureSet
from champion.indicators.numeric.windows import WINDOWS

_RANGE = "($high-$low+1e-12)"
_TOP, _BOTTOM = "Greater($open, $close)", "Less($open, $close)"
_BAR = {
    "KMID": "($close-$open)/$open",
    "KLEN": "($high-$low)/$open",
    "KMID2": f"($close-$open)/{_RANGE}",
    "KUP": f"($high-{_TOP})/$open",
    "KUP2": f"($high-{_TOP})/{_RANGE}",
    "KLOW": f"({_BOTTOM}-$low)/$open",
    "KLOW2": f"({_BOTTOM}-$low)/{_RANGE}",
    "KSFT": "(2*$close-$high-$low)/$open",
    "KSFT2": f"(2*$close-$high-$low)/{_RANGE}",
    "OPEN0": "$open/$close",
    "HIGH0": "$high/$close",
    "LOW0": "$low/$close",
    "VWAP0": "$vwap/$close",
}
_UP, _DOWN = "Mean($close>Ref($close, 1), {d})", "Mean($close<Ref($close, 1), {d})"
_GAIN, _LOSS = "Sum(Greater($close-Ref($close, 1), 0), {d})", "Sum(Greater(Ref($close, 1)-$close, 0), {d})"
_MOVE = "(Sum(Abs($close-Ref($close, 1)), {d})+1e-12)"
_MORE, _LESS, _CHANGE = (text.replace("$close", "$volume") for text in (_GAIN, _LOSS, _MOVE))
_FLOW = "Abs($close/Ref($close, 1)-1)*$volume"
_LOOKING_BACK = (
    # name, group, bars beyond the window, formula
    ("ROC", "trend", 1, "Ref($close, {d})/$close"),
    ("MA", "trend", 0, "Mean($close, {d})/$close"),
    ("STD", "trend", 0, "Std($close, {d})/$close"),
    ("BETA", "trend", 0, "Slope($close, {d})/$close"),
    ("RSQR", "trend", 0, "Rsquare($close, {d})"),
    ("RESI", "trend", 0, "Resi($close, {d})/$close"),
    ("MAX", "range", 0, "Max($high, {d})/$close"),
    ("MIN", "range", 0, "Min($low, {d})/$close"),
    ("QTLU", "order", 0, "Quantile($close, {d}, 0.8)/$close"),
    ("QTLD", "order", 0, "Quantile($close, {d}, 0.2)/$close"),
    ("RANK", "order", 0, "Rank($close, {d})"),
    ("RSV", "range", 0, "($close-Min($low, {d}))/(Max($high, {d})-Min($low, {d})+1e-12)"),
    ("IMAX", "range", 0, "IdxMax($high, {d})/{d}"),
    ("IMIN", "range", 0, "IdxMin($low, {d})/{d}"),
    ("IMXD", "range", 0, "(IdxMax($high, {d})-IdxMin($low, {d}))/{d}"),
    ("CORR", "correlation", 0, "Corr($close, Log($volume+1), {d})"),
    ("CORD", "correlation", 1, "Corr($close/Ref($close,1), Log($volume/Ref($volume, 1)+1), {d})"),
    ("CNTP", "direction", 1, _UP),
    ("CNTN", "direction", 1, _DOWN),
    ("CNTD", "direction", 1, f"{_UP}-{_DOWN}"),
    ("SUMP", "direction", 1, f"{_GAIN}/{_MOVE}"),
    ("SUMN", "direction", 1, f"{_LOSS}/{_MOVE}"),
    ("SUMD", "direction", 1, f"({_GAIN}-{_LOSS})/{_MOVE}"),
    ("VMA", "volume", 0, "Mean($volume, {d})/($volume+1e-12)"),
    ("VSTD", "volume", 0, "Std($volume, {d})/($volume+1e-12)"),
    ("WVMA", "volume", 1, f"Std({_FLOW}, {{d}})/(Mean({_FLOW}, {{d}})+1e-12)"),
    ("VSUMP", "volume", 1, f"{_MORE}/{_CHANGE}"),
    ("VSUMN", "volume", 1, f"{_LESS}/{_CHANGE}"),
    ("VSUMD", "volume", 1, f"({_MORE}-{_LESS})/{_CHANGE}"),
)


def _feature(name: str, group: str, lookback: int, formula: str) -> Feature:
    dtype = pl.Float32()
    expression = KERNEL.expression(name, needs(name), dtype)
    return Feature(name, group, lookback, dtype, formula, expression, kernel=KERNEL, spans_instruments=True)


ALPHA158 = FeatureSet(
    "equity_alpha158",
    "alpha158",
    (
        *(_feature(name, "bar", 1, formula) for name, formula in _BAR.items()),
        *(
            _feature(f"{name}{window}", group, window + extra, formula.format(d=window))
            for name, group, extra, formula in _LOOKING_BACK
            for window in WINDOWS
        ),
    ),
)

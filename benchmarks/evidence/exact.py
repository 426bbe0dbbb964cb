"""Indicators in decimal arithmetic of 50 digits, by plain loops: exact values if Champion and TA-Lib differ.

Each function takes the bars of one instrument as lists of Decimal and returns one value a row, None in the warm-up.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, getcontext
from functools import partial
from itertools import pairwise
from typing import Any

getcontext().prec = 50

Row = Decimal | None
Bars = Mapping[str, list[Decimal]]
_STILL = Decimal("1e-30")  # a smaller range of the RSI is rounding in the 50th digit


def _window(rows: int, window: int, value: Callable[[int, int], Decimal]) -> list[Row]:
    """Return value(first, end) of the rows [first, end) that end at each row."""
    return [value(row - window + 1, row + 1) if row >= window - 1 else None for row in range(rows)]


def _mean(values: Sequence[Row]) -> Decimal:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) / len(known)


def _smooth(values: Sequence[Row], seed: Decimal, row: int, alpha: Decimal) -> list[Row]:
    """Return the exponential mean that starts with `seed` at `row`."""
    found: list[Row] = [None] * min(row, len(values))
    last = seed
    for at in range(row, len(values)):
        value = values[at]
        last = seed if at == row or value is None else last + alpha * (value - last)
        found.append(last)
    return found


def _ema(values: Sequence[Row], span: int, row: int) -> list[Row]:
    if len(values) <= row:
        return [None] * len(values)
    return _smooth(values, _mean(values[row - span + 1 : row + 1]), row, Decimal(2) / (span + 1))


def _less(left: Sequence[Row], right: Sequence[Row]) -> list[Row]:
    return [None if a is None or b is None else a - b for a, b in zip(left, right, strict=True)]


def macd(bars: Bars, fast: int, slow: int, signal: int, part: int) -> list[Row]:
    """Return MACD, its signal or their difference: part 0, 1 or 2."""
    line = _less(_ema(bars["close"], fast, slow - 1), _ema(bars["close"], slow, slow - 1))
    mean = _ema(line, signal, slow + signal - 2)
    return (line, mean, _less(line, mean))[part]


def ppo(bars: Bars, fast: int, slow: int) -> list[Row]:
    """Return the percentage price oscillator."""
    quick, calm = (_ema(bars["close"], span, span - 1) for span in (fast, slow))
    return [None if a is None or b is None else 100 * (a - b) / b for a, b in zip(quick, calm, strict=True)]


def trix(bars: Bars, span: int) -> list[Row]:
    """Return the change of the triple exponential average in percent."""
    smooth: Sequence[Row] = bars["close"]
    for depth in (1, 2, 3):
        smooth = _ema(smooth, span, depth * (span - 1))
    return [None, *(None if a is None or b is None else 100 * (b - a) / a for a, b in pairwise(smooth))]


def rsi(bars: Bars, window: int) -> list[Row]:
    """Return Wilder's relative strength index."""
    close = bars["close"]
    changes = [Decimal(0), *(b - a for a, b in pairwise(close))]
    sides = [[max(sign * change, Decimal(0)) for change in changes] for sign in (1, -1)]
    if len(close) <= window:
        return [None] * len(close)
    gains, losses = (_smooth(side, _mean(side[1 : window + 1]), window, Decimal(1) / window) for side in sides)
    return [
        None if gain is None or loss is None else 100 * gain / (gain + loss) if gain + loss else Decimal(0)
        for gain, loss in zip(gains, losses, strict=True)
    ]


def cmo(bars: Bars, window: int) -> list[Row]:
    """Return Chande's momentum oscillator with Wilder's means: twice the RSI less 100, 0 where nothing moved."""
    moved = [row for row, (a, b) in enumerate(pairwise(bars["close"]), start=1) if a != b]
    since = moved[0] if moved else len(bars["close"])
    return [
        None if found is None else 2 * found - 100 if row >= since else Decimal(0)
        for row, found in enumerate(rsi(bars, window))
    ]


def kama(bars: Bars, window: int) -> list[Row]:
    """Return Kaufman's adaptive moving average."""
    close, found = bars["close"], list[Row]([None] * min(window, len(bars["close"])))
    fastest, slowest = Decimal(2) / 3, Decimal(2) / 31
    mean = close[window - 1] if len(close) > window else Decimal(0)
    for row in range(window, len(close)):
        path = sum((abs(close[at] - close[at - 1]) for at in range(row - window + 1, row + 1)), Decimal(0))
        moved = close[row] - close[row - window]
        efficiency = abs(moved / path) if path > moved else Decimal(1)
        mean += (close[row] - mean) * (efficiency * (fastest - slowest) + slowest) ** 2
        found.append(mean)
    return found


def ultimate_oscillator(bars: Bars, windows: Sequence[int]) -> list[Row]:
    """Return the ultimate oscillator; its windows from short to long."""
    pressure, reach = [Decimal(0)], [Decimal(0)]
    for (_, _, before), (high, low, close) in pairwise(zip(bars["high"], bars["low"], bars["close"], strict=True)):
        pressure.append(close - min(low, before))
        reach.append(max(high, before) - min(low, before))

    def value(row: int) -> Decimal:
        total = Decimal(0)
        for weight, window in zip((4, 2, 1), windows, strict=True):
            span = slice(row - window + 1, row + 1)
            if sum(reach[span]):
                total += weight * sum(pressure[span], Decimal(0)) / sum(reach[span], Decimal(0))
        return 100 * total / 7

    return [None if row < windows[-1] else value(row) for row in range(len(bars["close"]))]


def _position(high: Sequence[Decimal], low: Sequence[Decimal], close: Decimal) -> Decimal:
    return 100 * (close - min(low)) / (max(high) - min(low)) if max(high) - min(low) > _STILL else Decimal(0)


def averaged(raw: Sequence[Row], windows: Sequence[int]) -> list[Row]:
    """Return the simple mean of the mean, one for each window."""
    for window in windows:
        start = next((row for row, value in enumerate(raw) if value is not None), len(raw)) + window - 1
        raw = [_mean(raw[row - window + 1 : row + 1]) if row >= start else None for row in range(len(raw))]
    return list(raw)


def stochastic(bars: Bars, window: int, *means: int) -> list[Row]:
    """Return the position in the range, averaged over each of `means`."""
    high, low, close = bars["high"], bars["low"], bars["close"]
    raw = _window(len(close), window, lambda first, end: _position(high[first:end], low[first:end], close[end - 1]))
    return averaged(raw, means)


def stochastic_rsi(bars: Bars, window: int, k: int, *means: int) -> list[Row]:
    """Return the position of the RSI in its range, averaged over each of `means`."""
    index = [value for value in rsi(bars, window) if value is not None]
    raw = _window(len(index), k, lambda first, end: _position(index[first:end], index[first:end], index[end - 1]))
    return averaged([*[None] * (len(bars["close"]) - len(index)), *raw], means)


def cci(bars: Bars, window: int) -> list[Row]:
    """Return the commodity channel index."""
    price = [sum(bar, Decimal(0)) for bar in zip(bars["high"], bars["low"], bars["close"], strict=True)]

    def value(first: int, end: int) -> Decimal:
        mean = sum(price[first:end], Decimal(0)) / window
        deviation = sum((abs(one - mean) for one in price[first:end]), Decimal(0)) / window
        return (price[end - 1] - mean) / (deviation * 15 / 1000) if deviation > _STILL else Decimal(0)

    return _window(len(price), window, value)


def mfi(bars: Bars, window: int) -> list[Row]:
    """Return the money flow index."""
    price = [sum(bar, Decimal(0)) for bar in zip(bars["high"], bars["low"], bars["close"], strict=True)]
    flow = [one * volume for one, volume in zip(price, bars["volume"], strict=True)]

    def value(first: int, end: int) -> Decimal:
        rising = sum((flow[row] for row in range(first, end) if price[row] > price[row - 1]), Decimal(0))
        falling = sum((flow[row] for row in range(first, end) if price[row] < price[row - 1]), Decimal(0))
        return 100 * rising / (rising + falling) if rising + falling else Decimal(0)

    return [None if row < window else found for row, found in enumerate(_window(len(price), window, value))]


def standard_deviation(bars: Bars, window: int) -> list[Row]:
    """Return the population standard deviation of the close."""
    close = bars["close"]
    return _window(
        len(close), window, lambda first, end: _covariance(close[first:end], close[first:end], Decimal(window)).sqrt()
    )


def bollinger(bars: Bars, window: int, deviations: int) -> list[Row]:
    """Return the mean of the close plus as many standard deviations."""
    spread = standard_deviation(bars, window)
    middle = averaged(bars["close"], [window])
    return [None if a is None or b is None else a + deviations * b for a, b in zip(middle, spread, strict=True)]


def _covariance(x: Sequence[Decimal], y: Sequence[Decimal], count: Decimal) -> Decimal:
    mean_x, mean_y = sum(x, Decimal(0)) / count, sum(y, Decimal(0)) / count
    return sum(((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)), Decimal(0)) / count


def beta(bars: Bars, window: int) -> list[Row]:
    """Return the beta of the close's returns to the market's returns."""
    own, market = ([Decimal(0), *(b / a - 1 for a, b in pairwise(bars[name]))] for name in ("close", "market"))

    def value(first: int, end: int) -> Decimal:
        variance = _covariance(market[first:end], market[first:end], Decimal(window))
        return _covariance(own[first:end], market[first:end], Decimal(window)) / variance if variance else Decimal(0)

    return [None if row < window else found for row, found in enumerate(_window(len(own), window, value))]


def correlation(bars: Bars, window: int) -> list[Row]:
    """Return the correlation of close and high."""
    close, high = bars["close"], bars["high"]

    def value(first: int, end: int) -> Decimal:
        x, y = close[first:end], high[first:end]
        size = (_covariance(x, x, Decimal(window)) * _covariance(y, y, Decimal(window))).sqrt()
        return _covariance(x, y, Decimal(window)) / size if size else Decimal(0)

    return _window(len(close), window, value)


def accumulation(bars: Bars) -> list[Row]:
    """Return the accumulation/distribution line."""
    total, found = Decimal(0), list[Row]()
    for high, low, close, volume in zip(*(bars[name] for name in ("high", "low", "close", "volume")), strict=True):
        total += (2 * close - low - high) / (high - low) * volume if high > low else 0
        found.append(total)
    return found


def chaikin_oscillator(bars: Bars, fast: int, slow: int) -> list[Row]:
    """Return the fast less the slow exponential average of the line, both started with its first value."""
    line = accumulation(bars)
    quick, calm = (_smooth(line, line[0] or Decimal(0), 0, Decimal(2) / (span + 1)) for span in (fast, slow))
    return [None if row < slow - 1 else value for row, value in enumerate(_less(quick, calm))]


def _call(function: Callable[..., list[Row]], *arguments: Any) -> list[Row]:
    *parameters, bars = arguments
    return function(bars, *parameters)


_CALLS: tuple[tuple[Any, ...], ...] = (
    *(("ppo", ppo, 12, 26), ("trix_5", trix, 5), ("trix_30", trix, 30), ("cmo", cmo, 14), ("cci", cci, 20)),
    *(("stochastic_k", stochastic, 14, 3), ("stochastic_d", stochastic, 14, 3, 3), ("mfi", mfi, 14)),
    *(("stochastic_k_5", stochastic, 5, 2), ("stochastic_fast_k", stochastic, 5), ("beta", beta, 20)),
    *(("stochastic_fast_d", stochastic, 5, 3), ("stochastic_rsi_k", stochastic_rsi, 14, 5)),
    *(("stochastic_rsi_d", stochastic_rsi, 14, 5, 3), ("kama_10", kama, 10), ("kama_30", kama, 30)),
    *(("ultimate_oscillator", ultimate_oscillator, (7, 14, 28)), ("standard_deviation", standard_deviation, 20)),
    *(("bollinger_upper", bollinger, 20, 2), ("bollinger_lower", bollinger, 20, -2)),
    *(("correlation", correlation, 30), ("accumulation", accumulation)),
    ("chaikin_oscillator", chaikin_oscillator, 3, 10),
    *((f"{name}{end}", macd, *spans, part)
      for end, spans in (("", (12, 26, 9)), ("_5", (5, 11, 4)))
      for part, name in enumerate(("macd", "signal", "histogram"))),
)  # fmt: skip
EXACT: dict[str, Callable[[Bars], list[Row]]] = {name: partial(_call, *call) for name, *call in _CALLS}
"""By the names of talib_pairs: the exact values of an instrument's bars."""

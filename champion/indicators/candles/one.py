"""Patterns of one candle, and of a candle against the one before it."""

from __future__ import annotations

from champion.indicators.candles.marks import Pattern, bearish, bullish, colored, patterns
from champion.indicators.candles.shapes import Marks, Shapes, Where


def _shadows_short(s: Shapes) -> Where:
    return (s.upper(0) < s.half_shadows(0)) & (s.lower(0) < s.half_shadows(0))


def _belt_hold(s: Shapes) -> Marks:
    return colored(s, 0, s.long(0) & ((s.white(0) & s.no_lower(0)) | (s.black(0) & s.no_upper(0))))


def _closing_marubozu(s: Shapes) -> Marks:
    return colored(s, 0, s.long(0) & ((s.white(0) & s.no_upper(0)) | (s.black(0) & s.no_lower(0))))


def _doji(s: Shapes) -> Marks:
    return bullish(s.doji(0))


def _dragonfly_doji(s: Shapes) -> Marks:
    return bullish(s.doji(0) & s.no_upper(0) & s.has_lower(0))


def _gravestone_doji(s: Shapes) -> Marks:
    return bullish(s.doji(0) & s.no_lower(0) & s.has_upper(0))


def _high_wave(s: Shapes) -> Marks:
    twice = 2.0 * s.body(0)
    return colored(s, 0, s.short(0) & (s.upper(0) > twice) & (s.lower(0) > twice))


def _long_legged_doji(s: Shapes) -> Marks:
    return bullish(s.doji(0) & ((s.lower(0) > s.body(0)) | (s.upper(0) > s.body(0))))


def _long_line(s: Shapes) -> Marks:
    return colored(s, 0, s.long(0) & _shadows_short(s))


def _marubozu(s: Shapes) -> Marks:
    return colored(s, 0, s.long(0) & s.no_upper(0) & s.no_lower(0))


def _rickshaw_man(s: Shapes) -> Marks:
    legs = (s.lower(0) > s.body(0)) & (s.upper(0) > s.body(0))
    middle = s.low(0) + (s.high(0) - s.low(0)) / 2
    central = (s.bottom(0) <= middle + s.near(0)) & (s.top(0) >= middle - s.near(0))
    return bullish(s.doji(0) & legs & central)


def _short_line(s: Shapes) -> Marks:
    return colored(s, 0, s.short(0) & _shadows_short(s))


def _spinning_top(s: Shapes) -> Marks:
    return colored(s, 0, s.short(0) & (s.upper(0) > s.body(0)) & (s.lower(0) > s.body(0)))


def _takuri(s: Shapes) -> Marks:
    return bullish(s.doji(0) & s.no_upper(0) & (s.lower(0) > 2.0 * s.body(0)))


def _hanging(s: Shapes) -> Where:
    """Return whether the candle has a short body, a long lower and no upper shadow."""
    return s.short(0) & (s.lower(0) > s.body(0)) & s.no_upper(0)


def _shooting(s: Shapes) -> Where:
    """Return whether the candle has a short body, a long upper and no lower shadow."""
    return s.short(0) & (s.upper(0) > s.body(0)) & s.no_lower(0)


def _hammer(s: Shapes) -> Marks:
    return bullish(_hanging(s) & (s.bottom(0) <= s.low(1) + s.near(1)))


def _hanging_man(s: Shapes) -> Marks:
    return bearish(_hanging(s) & (s.bottom(0) >= s.high(1) - s.near(1)))


def _inverted_hammer(s: Shapes) -> Marks:
    return bullish(_shooting(s) & s.body_gap_down(0, 1))


def _shooting_star(s: Shapes) -> Marks:
    return bearish(_shooting(s) & s.body_gap_up(0, 1))


ONE = patterns(
    Pattern("belthold", 10, _belt_hold, "Belt hold: a long body that opens at its low (bullish) or high (bearish)"),
    Pattern("closingmarubozu", 10, _closing_marubozu, "Closing marubozu: a long body that closes at its extreme"),
    Pattern("doji", 10, _doji, "Doji: open and close are almost equal; no direction, always 100"),
    Pattern("dragonflydoji", 10, _dragonfly_doji, "Dragonfly doji: a doji at its high; always 100"),
    Pattern("gravestonedoji", 10, _gravestone_doji, "Gravestone doji: a doji at its low; always 100"),
    Pattern("hammer", 11, _hammer, "Hammer: a small body over a long shadow, near the low before"),
    Pattern("hangingman", 11, _hanging_man, "Hanging man: a small body over a long shadow, near the high before"),
    Pattern("highwave", 10, _high_wave, "High wave: a short body between very long shadows; the sign is its colour"),
    Pattern("invertedhammer", 11, _inverted_hammer, "Inverted hammer: a small body under a long shadow, gapping down"),
    Pattern("longleggeddoji", 10, _long_legged_doji, "Long-legged doji: a doji with a long shadow; always 100"),
    Pattern("longline", 10, _long_line, "Long line: a long body with short shadows; the sign is its colour"),
    Pattern("marubozu", 10, _marubozu, "Marubozu: a long body without shadows; the sign is its colour"),
    Pattern("rickshawman", 10, _rickshaw_man, "Rickshaw man: a doji in the middle of two long shadows; always 100"),
    Pattern("shootingstar", 11, _shooting_star, "Shooting star: a small body under a long shadow, gapping up"),
    Pattern("shortline", 10, _short_line, "Short line: a short body with short shadows; the sign is its colour"),
    Pattern(
        "spinningtop", 10, _spinning_top, "Spinning top: a short body between longer shadows; the sign is its colour"
    ),
    Pattern("takuri", 10, _takuri, "Takuri: a dragonfly doji with a very long lower shadow; always 100"),
)

"""Patterns of two candles."""

from __future__ import annotations

import numpy as np

from champion.indicators.candles.marks import FULL, Pattern, bearish, bullish, colored, patterns
from champion.indicators.candles.shapes import Marks, Shapes, Where

_WEAK = np.int32(80)  # ends of two bodies are equal


def _turns(s: Shapes) -> Where:
    """Return whether the candle has the other colour than the one before."""
    return s.white(0) ^ s.white(1)


def _counterattack(s: Shapes) -> Marks:
    return colored(s, 0, _turns(s) & s.long(1) & s.long(0) & s.equals(s.close(0), s.close(1), 1))


def _dark_cloud_cover(s: Shapes) -> Marks:
    deep = (s.close(0) > s.open(1)) & (s.close(0) < s.close(1) - s.body(1) * 0.5)
    return bearish(s.white(1) & s.long(1) & s.black(0) & (s.open(0) > s.high(1)) & deep)


def _doji_star(s: Shapes) -> Marks:
    away = (s.white(1) & s.body_gap_up(0, 1)) | (s.black(1) & s.body_gap_down(0, 1))
    return -colored(s, 1, s.long(1) & s.doji(0) & away)


def _engulfing(s: Shapes) -> Marks:
    higher, lower = s.top(0) - s.top(1), s.bottom(1) - s.bottom(0)
    engulfs = _turns(s) & (higher >= 0) & (lower >= 0) & (higher + lower > 0)
    strength = np.where((higher > 0) & (lower > 0), FULL, _WEAK)
    return engulfs * s.color(0) * strength


def _harami(s: Shapes) -> Marks:
    return _inside(s, s.long(1) & s.small(0))


def _harami_cross(s: Shapes) -> Marks:
    return _inside(s, s.long(1) & s.doji(0))


def _inside(s: Shapes, where: Where) -> Marks:
    within = (s.top(0) <= s.top(1)) & (s.bottom(0) >= s.bottom(1))
    strict = (s.top(0) < s.top(1)) & (s.bottom(0) > s.bottom(1))
    return (where & within) * -s.color(1) * np.where(strict, FULL, _WEAK)


def _homing_pigeon(s: Shapes) -> Marks:
    within = (s.open(0) < s.open(1)) & (s.close(0) > s.close(1))
    return bullish(s.black(1) & s.black(0) & s.long(1) & s.small(0) & within)


def _opens_below(s: Shapes) -> Where:
    """Return whether a white candle opens below the low of a long black one."""
    return s.black(1) & s.long(1) & s.white(0) & (s.open(0) < s.low(1))


def _in_neck(s: Shapes) -> Marks:
    into = (s.close(0) <= s.close(1) + s.equal(1)) & (s.close(0) >= s.close(1))
    return bearish(_opens_below(s) & into)


def _on_neck(s: Shapes) -> Marks:
    return bearish(_opens_below(s) & s.equals(s.close(0), s.low(1), 1))


def _piercing(s: Shapes) -> Marks:
    into = (s.close(0) < s.open(1)) & (s.close(0) > s.close(1) + s.body(1) * 0.5)
    return bullish(_opens_below(s) & s.long(0) & into)


def _thrusting(s: Shapes) -> Marks:
    into = (s.close(0) > s.close(1) + s.equal(1)) & (s.close(0) <= s.close(1) + s.body(1) * 0.5)
    return bearish(_opens_below(s) & into)


def _kicks(s: Shapes) -> Where:
    bare = s.long(1) & s.no_upper(1) & s.no_lower(1) & s.long(0) & s.no_upper(0) & s.no_lower(0)
    return _turns(s) & bare & ((s.black(1) & s.gap_up(0, 1)) | (s.white(1) & s.gap_down(0, 1)))


def _kicking(s: Shapes) -> Marks:
    return colored(s, 0, _kicks(s))


def _kicking_by_length(s: Shapes) -> Marks:
    return _kicks(s) * np.where(s.body(0) > s.body(1), s.color(0), s.color(1)) * FULL


def _matching_low(s: Shapes) -> Marks:
    return bullish(s.black(1) & s.black(0) & s.equals(s.close(0), s.close(1), 1))


def _separating_lines(s: Shapes) -> Marks:
    bare = (s.white(0) & s.no_lower(0)) | (s.black(0) & s.no_upper(0))
    return colored(s, 0, _turns(s) & s.equals(s.open(0), s.open(1), 1) & s.long(0) & bare)


TWO = patterns(
    Pattern("counterattack", 11, _counterattack, "Counterattack: two long bodies of opposite colours, equal closes"),
    Pattern(
        "darkcloudcover", 11, _dark_cloud_cover, "Dark cloud cover: opens above the high, closes below half the body"
    ),
    Pattern("dojistar", 11, _doji_star, "Doji star: a doji that gaps away from a long body; against that body"),
    Pattern(
        "engulfing", 2, _engulfing, "Engulfing: the body covers the opposite one before; 80 where two ends are equal"
    ),
    Pattern("harami", 11, _harami, "Harami: a small body inside a long one, against it; 80 where two ends are equal"),
    Pattern("haramicross", 11, _harami_cross, "Harami cross: a doji inside a long body; 80 where two ends are equal"),
    Pattern("homingpigeon", 11, _homing_pigeon, "Homing pigeon: a small black body inside a long black one"),
    Pattern("inneck", 11, _in_neck, "In-neck: a white candle from below closes just inside a long black body"),
    Pattern("kicking", 11, _kicking, "Kicking: a marubozu gaps away from one of the other colour"),
    Pattern("kickingbylength", 11, _kicking_by_length, "Kicking, with the sign of the longer marubozu"),
    Pattern("matchinglow", 6, _matching_low, "Matching low: two black candles with equal closes"),
    Pattern("onneck", 11, _on_neck, "On-neck: a white candle from below closes at the low of a long black one"),
    Pattern("piercing", 11, _piercing, "Piercing: a long white candle from below closes above half a long black body"),
    Pattern(
        "separatinglines", 11, _separating_lines, "Separating lines: opposite colours, equal opens, then a belt hold"
    ),
    Pattern("thrusting", 11, _thrusting, "Thrusting: a white candle from below closes below half a long black body"),
)

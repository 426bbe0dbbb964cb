"""Patterns of four and five candles, and those that a later close confirms."""

from __future__ import annotations

import numpy as np

from champion.indicators.candles.marks import FULL, Pattern, bearish, bullish, colored, patterns
from champion.indicators.candles.shapes import Marks, Shapes, Where

_CONFIRMED_WITHIN = 3  # bars after a hikkake


def _three_black_crows(s: Shapes) -> Marks:
    bare = s.black(2) & s.no_lower(2) & s.black(1) & s.no_lower(1) & s.black(0) & s.no_lower(0)
    opens = (s.open(1) < s.open(2)) & (s.open(1) > s.close(2)) & (s.open(0) < s.open(1)) & (s.open(0) > s.close(1))
    falls = (s.high(3) > s.close(2)) & (s.close(2) > s.close(1)) & (s.close(1) > s.close(0))
    return bearish(s.white(3) & bare & opens & falls)


def _opens_near(s: Shapes, ago: int) -> Where:
    """Return whether a candle opens in or near the body before it."""
    before = ago + 1
    near = s.near(before)
    return (s.open(ago) >= s.bottom(before) - near) & (s.open(ago) <= s.top(before) + near)


def _three_line_strike(s: Shapes) -> Marks:
    same = (s.white(3) == s.white(2)) & (s.white(2) == s.white(1)) & (s.white(0) != s.white(1))
    rises = (s.close(1) > s.close(2)) & (s.close(2) > s.close(3)) & (s.open(0) > s.close(1)) & (s.close(0) < s.open(3))
    falls = (s.close(1) < s.close(2)) & (s.close(2) < s.close(3)) & (s.open(0) < s.close(1)) & (s.close(0) > s.open(3))
    strikes = (s.white(1) & rises) | (s.black(1) & falls)
    return colored(s, 1, same & _opens_near(s, 2) & _opens_near(s, 1) & strikes)


def _breakaway(s: Shapes) -> Marks:
    colors = (s.white(4) == s.white(3)) & (s.white(3) == s.white(1)) & (s.white(1) != s.white(0))
    lower = (s.high(2) < s.high(3)) & (s.low(2) < s.low(3)) & (s.high(1) < s.high(2)) & (s.low(1) < s.low(2))
    higher = (s.high(2) > s.high(3)) & (s.low(2) > s.low(3)) & (s.high(1) > s.high(2)) & (s.low(1) > s.low(2))
    rises = s.black(4) & s.body_gap_down(3, 4) & lower & (s.close(0) > s.open(3)) & (s.close(0) < s.close(4))
    falls = s.white(4) & s.body_gap_up(3, 4) & higher & (s.close(0) < s.open(3)) & (s.close(0) > s.close(4))
    return colored(s, 0, s.long(4) & colors & (rises | falls))


def _concealing_baby_swallow(s: Shapes) -> Marks:
    black = s.black(3) & s.black(2) & s.black(1) & s.black(0)
    bare = s.no_lower(3) & s.no_upper(3) & s.no_lower(2) & s.no_upper(2)
    reaches = s.body_gap_down(1, 2) & s.has_upper(1) & (s.high(1) > s.close(2))
    return bullish(black & bare & reaches & (s.high(0) > s.high(1)) & (s.low(0) < s.low(1)))


def _ladder_bottom(s: Shapes) -> Marks:
    black = s.black(4) & s.black(3) & s.black(2) & s.black(1)
    falls = (s.open(4) > s.open(3)) & (s.open(3) > s.open(2)) & (s.close(4) > s.close(3)) & (s.close(3) > s.close(2))
    return bullish(black & falls & s.has_upper(1) & s.white(0) & (s.open(0) > s.open(1)) & (s.close(0) > s.high(1)))


def _mat_hold(s: Shapes) -> Marks:
    small = s.long(4) & s.short(3) & s.short(2) & s.short(1) & s.white(4) & s.black(3) & s.white(0)
    depth = s.close(4) - s.body(4) * 0.5
    falls = (s.bottom(2) < s.close(4)) & (s.bottom(1) < s.close(4)) & (s.bottom(2) > depth) & (s.bottom(1) > depth)
    lower = s.body_gap_up(3, 4) & (s.top(2) < s.open(3)) & (s.top(1) < s.top(2))
    highest = np.maximum(np.maximum(s.high(3), s.high(2)), s.high(1))
    return bullish(small & falls & lower & (s.open(0) > s.close(1)) & (s.close(0) > highest))


def _rising_falling_three_methods(s: Shapes) -> Marks:
    sizes = s.long(4) & s.short(3) & s.short(2) & s.short(1) & s.long(0)
    white = s.white(4)
    colors = (
        (white != s.white(3)) & (s.white(3) == s.white(2)) & (s.white(2) == s.white(1)) & (s.white(1) != s.white(0))
    )
    within = sizes & colors
    for ago in (3, 2, 1):
        within &= (s.bottom(ago) < s.high(4)) & (s.top(ago) > s.low(4))
    sign = s.color(4).astype(np.float64)
    drift = ((s.close(2) - s.close(3)) * sign < 0) & ((s.close(1) - s.close(2)) * sign < 0)
    resumes = ((s.open(0) - s.close(1)) * sign > 0) & ((s.close(0) - s.close(4)) * sign > 0)
    return colored(s, 4, within & drift & resumes)


def _hikkake(s: Shapes) -> Marks:
    return _confirmed(s, [_false_break(s, ago) for ago in range(_CONFIRMED_WITHIN + 1)])


def _hikkake_modified(s: Shapes) -> Marks:
    return _confirmed(s, [_false_break_modified(s, ago) for ago in range(_CONFIRMED_WITHIN + 1)])


def _false_break(s: Shapes, ago: int) -> Marks:
    """Return the sign of an inside bar that the next bar, `ago` rows before, breaks: 1 if downwards, -1 if upwards."""
    one, two = ago + 1, ago + 2
    inside = (s.high(one) < s.high(two)) & (s.low(one) > s.low(two))
    down = (s.high(ago) < s.high(one)) & (s.low(ago) < s.low(one))
    up = (s.high(ago) > s.high(one)) & (s.low(ago) > s.low(one))
    return (inside & down).astype(np.int32) - (inside & up)


def _false_break_modified(s: Shapes, ago: int) -> Marks:
    """Return the sign of two inside bars that the next bar breaks, the first of them with its close at an extreme."""
    two, three = ago + 2, ago + 3
    inside = (s.high(two) < s.high(three)) & (s.low(two) > s.low(three))
    low, high = s.close(two) <= s.low(two) + s.near(two), s.close(two) >= s.high(two) - s.near(two)
    sign = _false_break(s, ago)
    return sign * (inside & np.where(sign > 0, low, high))


def _confirmed(s: Shapes, signs: list[Marks]) -> Marks:
    """Return 100 with the sign of a false break, and 200 on the first close beyond its inside bar within three bars.

    A later false break replaces an earlier one.
    """
    marks = signs[0] * FULL
    unbroken = signs[0] == 0  # no later false break
    for age in range(1, _CONFIRMED_WITHIN + 1):
        sign, inside = signs[age], age + 1
        confirms = _beyond(s, sign, inside, 0) & unbroken
        for earlier in range(1, age):
            confirms &= ~_beyond(s, sign, inside, earlier)
        marks += confirms * sign * (2 * FULL)
        unbroken = unbroken & (sign == 0)
    return marks


def _beyond(s: Shapes, sign: Marks, inside: int, ago: int) -> Where:
    """Return whether a close is beyond the inside bar, on the side that confirms."""
    above, below = s.close(ago) > s.high(inside), s.close(ago) < s.low(inside)
    return ((sign > 0) & above) | ((sign < 0) & below)


LONGER = patterns(
    Pattern(
        "3blackcrows", 13, _three_black_crows, "Three black crows: closes fall near the lows, opens in the body before"
    ),
    Pattern(
        "3linestrike",
        8,
        _three_line_strike,
        "Three-line strike: three candles in line, a fourth covers them; with them",
    ),
    Pattern("breakaway", 14, _breakaway, "Breakaway: a gap and three candles onwards, then a close inside the gap"),
    Pattern(
        "concealbabyswall", 13, _concealing_baby_swallow, "Concealing baby swallow: four black candles, the last covers"
    ),
    Pattern("hikkake", 5, _hikkake, "Hikkake: an inside bar is broken; 200 once a close confirms the other side"),
    Pattern("hikkakemod", 10, _hikkake_modified, "Modified hikkake: two inside bars are broken; 200 once confirmed"),
    Pattern(
        "ladderbottom", 14, _ladder_bottom, "Ladder bottom: four black candles, then a white close above the last high"
    ),
    Pattern("mathold", 14, _mat_hold, "Mat hold: a gap up, three small candles back, then a new high"),
    Pattern(
        "risefall3methods", 14, _rising_falling_three_methods, "Rising or falling three methods: a pause in a trend"
    ),
)

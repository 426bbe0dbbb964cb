"""Patterns of three candles."""

from __future__ import annotations

import numpy as np

from champion.indicators.candles.marks import Pattern, bearish, bullish, colored, patterns
from champion.indicators.candles.shapes import Marks, Shapes, Where

_DEPTH = 0.3  # share of the first body that a star's third candle covers


def _rising_closes(s: Shapes) -> Where:
    return s.white(2) & s.white(1) & s.white(0) & (s.close(0) > s.close(1)) & (s.close(1) > s.close(2))


def _opens_within(s: Shapes, ago: int) -> Where:
    """Return whether a candle opens above the previous open and not far above the previous close."""
    before = ago + 1
    return (s.open(ago) > s.open(before)) & (s.open(ago) <= s.close(before) + s.near(before))


def _two_crows(s: Shapes) -> Marks:
    opens = (s.open(0) < s.open(1)) & (s.open(0) > s.close(1))
    closes = (s.close(0) > s.open(2)) & (s.close(0) < s.close(2))
    return bearish(s.white(2) & s.long(2) & s.black(1) & s.body_gap_up(1, 2) & s.black(0) & opens & closes)


def _three_inside(s: Shapes) -> Marks:
    inside = (s.top(1) < s.top(2)) & (s.bottom(1) > s.bottom(2))
    falls, rises = (
        s.white(2) & s.black(0) & (s.close(0) < s.open(2)),
        s.black(2) & s.white(0) & (s.close(0) > s.open(2)),
    )
    return -colored(s, 2, s.long(2) & s.small(1) & inside & (falls | rises))


def _three_outside(s: Shapes) -> Marks:
    rises = s.white(1) & s.black(2) & (s.close(1) > s.open(2)) & (s.open(1) < s.close(2)) & (s.close(0) > s.close(1))
    falls = s.black(1) & s.white(2) & (s.open(1) > s.close(2)) & (s.close(1) < s.open(2)) & (s.close(0) < s.close(1))
    return colored(s, 1, rises | falls)


def _three_stars_in_south(s: Shapes) -> Marks:
    first = s.black(2) & s.long(2) & (s.lower(2) > s.body(2))
    opens = (s.open(1) > s.close(2)) & (s.open(1) <= s.high(2))
    lows = (s.low(1) < s.close(2)) & (s.low(1) >= s.low(2))
    second = s.black(1) & (s.body(1) < s.body(2)) & opens & lows & s.has_lower(1)
    inside = (s.low(0) > s.low(1)) & (s.high(0) < s.high(1))
    return bullish(first & second & s.black(0) & s.short(0) & s.no_lower(0) & s.no_upper(0) & inside)


def _three_white_soldiers(s: Shapes) -> Marks:
    bare = s.no_upper(2) & s.no_upper(1) & s.no_upper(0)
    grows = (s.body(1) > s.body(2) - s.far(2)) & (s.body(0) > s.body(1) - s.far(1)) & s.long(0)
    return bullish(_rising_closes(s) & bare & _opens_within(s, 1) & _opens_within(s, 0) & grows)


def _advance_block(s: Shapes) -> Marks:
    shrinks = (s.body(1) < s.body(2) - s.far(2)) & (s.body(0) < s.body(1) + s.near(1))
    shorter, drops = s.body(0) < s.body(1), s.body(0) < s.body(1) - s.far(1)
    shadowed = (s.upper(0) > s.half_shadows(0)) | (s.upper(1) > s.half_shadows(1))
    tires = shorter & (s.body(1) < s.body(2)) & shadowed
    weakens = shrinks | drops | tires | (shorter & (s.upper(0) > s.body(0)))
    first = s.long(2) & (s.upper(2) < s.half_shadows(2))
    return bearish(_rising_closes(s) & _opens_within(s, 1) & _opens_within(s, 0) & first & weakens)


def _stalled_pattern(s: Shapes) -> Marks:
    rides = s.open(0) >= s.close(1) - s.body(0) - s.near(1)
    long = s.long(2) & s.long(1) & s.no_upper(1)
    return bearish(_rising_closes(s) & long & _opens_within(s, 1) & s.short(0) & rides)


def _abandoned_baby(s: Shapes) -> Marks:
    depth = s.body(2) * _DEPTH
    falls = s.white(2) & s.black(0) & (s.close(0) < s.close(2) - depth) & s.gap_up(1, 2) & s.gap_down(0, 1)
    rises = s.black(2) & s.white(0) & (s.close(0) > s.close(2) + depth) & s.gap_down(1, 2) & s.gap_up(0, 1)
    return colored(s, 0, s.long(2) & s.doji(1) & s.long(0) & (falls | rises))


def _evening(s: Shapes, star: Where) -> Marks:
    falls = s.black(0) & s.long(0) & (s.close(0) < s.close(2) - s.body(2) * _DEPTH)
    return bearish(s.white(2) & s.long(2) & star & s.body_gap_up(1, 2) & falls)


def _evening_star(s: Shapes) -> Marks:
    return _evening(s, s.small(1))


def _evening_doji_star(s: Shapes) -> Marks:
    return _evening(s, s.doji(1))


def _morning(s: Shapes, star: Where) -> Marks:
    rises = s.white(0) & s.long(0) & (s.close(0) > s.close(2) + s.body(2) * _DEPTH)
    return bullish(s.black(2) & s.long(2) & star & s.body_gap_down(1, 2) & rises)


def _morning_star(s: Shapes) -> Marks:
    return _morning(s, s.small(1))


def _morning_doji_star(s: Shapes) -> Marks:
    return _morning(s, s.doji(1))


def _gap_side_side_white(s: Shapes) -> Marks:
    up, down = s.body_gap_up(1, 2) & s.body_gap_up(0, 2), s.body_gap_down(1, 2) & s.body_gap_down(0, 2)
    size = (s.body(0) >= s.body(1) - s.near(1)) & (s.body(0) <= s.body(1) + s.near(1))
    beside = s.white(1) & s.white(0) & size & s.equals(s.open(0), s.open(1), 1)
    return bullish(beside & up) + bearish(beside & down)


def _identical_three_crows(s: Shapes) -> Marks:
    black = s.black(2) & s.black(1) & s.black(0) & s.no_lower(2) & s.no_lower(1) & s.no_lower(0)
    falls = (s.close(2) > s.close(1)) & (s.close(1) > s.close(0))
    return bearish(black & falls & s.equals(s.open(1), s.close(2), 2) & s.equals(s.open(0), s.close(1), 1))


def _stick_sandwich(s: Shapes) -> Marks:
    between = s.black(2) & s.white(1) & s.black(0) & (s.low(1) > s.close(2))
    return bullish(between & s.equals(s.close(0), s.close(2), 2))


def _tasuki_gap(s: Shapes) -> Marks:
    size = np.abs(s.body(1) - s.body(0)) < s.near(1)
    opens = (s.open(0) < s.top(1)) & (s.open(0) > s.bottom(1))
    up = s.body_gap_up(1, 2) & s.white(1) & s.black(0) & (s.close(0) < s.open(1)) & (s.close(0) > s.top(2))
    down = s.body_gap_down(1, 2) & s.black(1) & s.white(0) & (s.close(0) > s.open(1)) & (s.close(0) < s.bottom(2))
    return colored(s, 1, size & opens & (up | down))


def _tristar(s: Shapes) -> Marks:
    dojis = s.doji(2) & s.doji(1, average_ago=2) & s.doji(0, average_ago=2)
    falls, rises = s.body_gap_up(1, 2) & (s.top(0) < s.top(1)), s.body_gap_down(1, 2) & (s.bottom(0) > s.bottom(1))
    return bearish(dojis & falls) + bullish(dojis & rises)


def _unique_three_river(s: Shapes) -> Marks:
    second = s.black(1) & (s.close(1) > s.close(2)) & (s.open(1) <= s.open(2)) & (s.low(1) < s.low(2))
    return bullish(s.black(2) & s.long(2) & second & s.white(0) & s.short(0) & (s.open(0) > s.low(1)))


def _upside_gap_two_crows(s: Shapes) -> Marks:
    engulfs = (s.open(0) > s.open(1)) & (s.close(0) < s.close(1)) & (s.close(0) > s.close(2))
    gap = s.white(2) & s.long(2) & s.black(1) & s.small(1) & s.body_gap_up(1, 2)
    return bearish(gap & s.black(0) & engulfs)


def _gap_three_methods(s: Shapes) -> Marks:
    turns = ~(s.white(2) ^ s.white(1)) & (s.white(1) ^ s.white(0))
    opens = (s.open(0) < s.top(1)) & (s.open(0) > s.bottom(1))
    closes = (s.close(0) < s.top(2)) & (s.close(0) > s.bottom(2))
    gap = (s.white(2) & s.body_gap_up(1, 2)) | (s.black(2) & s.body_gap_down(1, 2))
    return colored(s, 2, turns & opens & closes & gap)


THREE = patterns(
    Pattern("2crows", 12, _two_crows, "Two crows: a gap up, then a black candle that closes in the first body"),
    Pattern("3inside", 12, _three_inside, "Three inside: a harami that the third close confirms"),
    Pattern("3outside", 3, _three_outside, "Three outside: an engulfing that the third close confirms"),
    Pattern(
        "3starsinsouth", 12, _three_stars_in_south, "Three stars in the south: black candles, each smaller, higher lows"
    ),
    Pattern("3whitesoldiers", 12, _three_white_soldiers, "Three white soldiers: closes rise near the highs"),
    Pattern("abandonedbaby", 12, _abandoned_baby, "Abandoned baby: a doji with a gap on both sides, then a reversal"),
    Pattern("advanceblock", 12, _advance_block, "Advance block: three rising white candles that weaken"),
    Pattern("eveningdojistar", 12, _evening_doji_star, "Evening doji star: a doji above two bodies, then a fall"),
    Pattern("eveningstar", 12, _evening_star, "Evening star: a small body above two others, then a fall"),
    Pattern("gapsidesidewhite", 7, _gap_side_side_white, "Side-by-side white lines after a gap; with the gap"),
    Pattern("identical3crows", 12, _identical_three_crows, "Identical three crows: each opens at the close before it"),
    Pattern("morningdojistar", 12, _morning_doji_star, "Morning doji star: a doji below two bodies, then a rise"),
    Pattern("morningstar", 12, _morning_star, "Morning star: a small body below two others, then a rise"),
    Pattern("stalledpattern", 12, _stalled_pattern, "Stalled pattern: two long white candles, then a small one on top"),
    Pattern(
        "sticksandwich", 7, _stick_sandwich, "Stick sandwich: a white candle between two black ones of equal close"
    ),
    Pattern("tasukigap", 7, _tasuki_gap, "Tasuki gap: an opposite candle that does not close the gap; with the gap"),
    Pattern("tristar", 12, _tristar, "Tristar: three dojis, the middle one gapping away; against the gap"),
    Pattern(
        "unique3river", 12, _unique_three_river, "Unique three river: a new low in a harami, then a small white body"
    ),
    Pattern("upsidegap2crows", 12, _upside_gap_two_crows, "Upside gap two crows: two black candles above a gap"),
    Pattern(
        "xsidegap3methods", 2, _gap_three_methods, "Gap three methods: the third candle closes the gap; with the gap"
    ),
)

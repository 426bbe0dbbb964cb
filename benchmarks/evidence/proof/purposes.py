"""Sample texts of corporate actions: how each is understood, and whether prices agree."""

from math import prod
from pathlib import Path

import polars as pl

from benchmarks.evidence.proof.page import Section, table, with_total
from champion.market.actions.action_text import ParsedAction, parse_purpose
from champion.market.actions.adjustment_factors import BY_TEXT, KINDS, PRICE_BAND

_OTHER = "other"


def samples(path: Path) -> Section:
    """Return the kinds in a list of real texts with factor or reason, and the texts that are not understood."""
    rows = pl.read_csv(path, infer_schema_length=None)
    parsed = [(text, ratio, parse_purpose(text)) for text, ratio in _texts(rows)]
    actions = [(action.kind, _result(action)) for _, _, found in parsed for action in found]
    counted = pl.DataFrame(actions, schema=["kind", "factor or reason"], orient="row")
    by_kind = counted.group_by(pl.all()).len("actions").sort("kind", "actions", descending=[False, True])
    strange = [text for text, _, found in parsed if any(_unexplained(action) for action in found)]
    priced = [(text, ratio, _factor(found)) for text, ratio, found in parsed if ratio and _factor(found) != 1]
    apart = [text for text, ratio, factor in priced if abs(factor / ratio - 1) > PRICE_BAND]
    beside = [text for text, _, found in parsed if any(action.kind == _OTHER for action in found)]
    return Section(
        "Wordings of actions",
        [
            (
                f"{rows.height} real wordings contain {len(actions)} actions. **{len(strange)} unexplained**: "
                f"{'; '.join(strange) or 'none'}. {len(beside)} wordings are of kind 'other', which moves no price: "
                f"{'; '.join(beside[:12]) or 'none'}."
            ),
            (
                f"For {len(priced)} samples, both the factor from the text and the price ratio are known. {len(apart)} "
                f"of these factors differ from the ratio by more than {PRICE_BAND:.0%}"
                f"{': ' + '; '.join(apart) if apart else ''}."
            ),
            table(with_total(by_kind, "all")),
        ],
    )


def _texts(rows: pl.DataFrame) -> list[tuple[str, float | None]]:
    ratio = pl.col("prev_close_over_ex_open").cast(pl.Float64, strict=False)
    return rows.select("purpose_raw", ratio).rows()


def _result(action: ParsedAction) -> str:
    if action.price_factor is not None:
        return "factor from the text"
    return action.reason or "moves no price"


def _unexplained(action: ParsedAction) -> bool:
    """Return whether an action that can move the price has neither a factor nor a reason."""
    return action.kind in KINDS and action.price_factor is None and action.reason is None


def _factor(found: tuple[ParsedAction, ...]) -> float:
    return prod(action.price_factor or 1.0 for action in found if action.kind in BY_TEXT)

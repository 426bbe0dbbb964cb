"""The simulated corporate actions: their effect on the price, and their text in the exchange's list.

Dividends and rights issues are planned as a share of the price; `settle` computes their amounts at the ex-date.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np

from champion.simulate.universe import Instrument

Kind = Literal[
    "split", "bonus", "bonus and split", "consolidation", "rights", "demerger",
    "dividend", "special dividend", "preference bonus", "meeting",
]  # fmt: skip
PAYOUTS = ("dividend", "special dividend")
NEW_FACES = {10: (5, 2, 1), 5: (1,), 2: (1,)}
SPLITS = (
    " Face Value Split (Sub-Division) - From Rs {0}/- Per Share To {1} {2}/- Per Share",
    "Face Value Split (Sub-Division) - From Rs {0} Per Share To {1} {2} Per Share",
    " Fv Splt Frm Rs {0} To {1} {2}",
    "Face Value Split (Sub-Division) - From Rs{0}/- Per Share To {1} {2}/- Per Share",
    " Face Value Split From Rs {0} To {1} {2}",
)
BONUSES = (
    (1, 1, "Bonus 1:1"),
    (1, 2, " Bonus 1: 2"),
    (2, 1, " Bonus 2:1"),
    (1, 2, "Bonus- 1:2"),
    (1, 4, " Bonus  1:4"),
)
RIGHTS = (
    (1, 5, "Rights 1:5 @ Premium Rs {}/-"),
    (1, 2, " Rights 1:2 @ Premium Rs {}/- Per Share"),
    (2, 5, " Rights 2:5 @ Prem Rs {}"),
)
SMALLEST_AMOUNT, WHOLE_RUPEE = 5, 100  # paise


@dataclass(frozen=True)
class Action:
    """One corporate action. Prices before `ex_date` are divided by `price_factor` to compare them with later ones.

    `symbol` and `face_value` are the instrument's last ones, as in the exchange's list; `traded_symbol` is that of the
    ex-date. `ratio` is new shares to held (bonus, rights), or old face value to new (split, consolidation). `amount` is
    the dividend, or the premium of a rights issue, in rupees per share; `previous_close`, in rupees, is the last close
    before the ex-date. Both are None for actions after the last simulated session. `share` is the planned dividend or
    issue price as a part of the previous close.
    """

    position: int
    ex_date: date
    kind: Kind
    price_factor: float
    purpose: str
    face_value: int
    ratio: str = ""
    share: float = 0.0
    symbol: str = ""
    traded_symbol: str = ""
    amount: float | None = None
    previous_close: float | None = None

    @property
    def return_factor(self) -> float:
        """The divisor of earlier prices for total returns: `price_factor`, or close / (close - dividend)."""
        if self.kind not in PAYOUTS or self.amount is None or self.previous_close is None:
            return self.price_factor
        return self.previous_close / (self.previous_close - self.amount)


def settle(action: Action, close: int) -> Action:
    """Return the action with amounts, text and factor; `close` is the last one before its ex-date, in paise."""
    action = replace(action, previous_close=close / 100)
    if action.kind in PAYOUTS:
        unit = SMALLEST_AMOUNT if action.kind == "dividend" else WHOLE_RUPEE
        paid = max(unit, round(action.share * close / unit) * unit)
        rupees, paise = divmod(paid, 100)
        amount = f"{rupees}.{paise:02d}" if paise else str(rupees)
        text = f"{'Rs' if rupees > 1 or (rupees and paise) else 'Re'} {amount}"
        return replace(action, amount=paid / 100, purpose=action.purpose.format(text))
    if action.kind == "rights":
        new, held = map(int, action.ratio.split(":"))
        premium = max(1, round(action.share * close / 100) - action.face_value)
        issue = 100 * (premium + action.face_value)
        factor = (held + new) * close / (held * close + new * issue)  # to the theoretical ex-rights price
        return replace(action, amount=float(premium), purpose=action.purpose.format(premium), price_factor=factor)
    return action


def capital(instrument: Instrument, position: int, ex_date: date, kind: str, rng: np.random.Generator) -> list[Action]:
    """Return the split, the bonus, or both of an instrument, for `kind` "joined" in one row, for "same day" in two."""
    spelling = int(rng.integers(len(SPLITS)))
    face, new_face = instrument.face_value, int(rng.choice(NEW_FACES[instrument.face_value]))
    last_face = face if kind == "bonus" else new_face
    split_text = SPLITS[spelling].format(face, "Re" if new_face == 1 else "Rs", new_face)
    new, held, bonus_text = BONUSES[int(rng.integers(len(BONUSES)))]
    split, bonus = face / new_face, (new + held) / held
    faces, shares = f"{face}:{new_face}", f"{new}:{held}"
    if kind == "joined":
        text = f"{bonus_text}/{split_text.strip()}"
        return [Action(position, ex_date, "bonus and split", split * bonus, text, last_face, f"{shares} {faces}")]
    actions = [
        Action(position, ex_date, "split", split, split_text, last_face, faces),
        Action(position, ex_date, "bonus", bonus, bonus_text, last_face, shares),
    ]
    return {"split": actions[:1], "bonus": actions[1:]}.get(kind, actions)


def rights(instrument: Instrument, position: int, ex_date: date, rng: np.random.Generator) -> Action:
    """Return a rights issue at 50 to 75% of the price."""
    new, held, text = RIGHTS[int(rng.integers(len(RIGHTS)))]
    share = float(rng.uniform(0.5, 0.75))
    planned = (held + new) / (held + new * share)
    return Action(position, ex_date, "rights", planned, text, instrument.face_value, f"{new}:{held}", share)


def demerger(instrument: Instrument, position: int, ex_date: date, rng: np.random.Generator) -> Action:
    """Return a demerger that lowers the price by 10 to 40%; the list gives no ratio."""
    factor = 1 / (1 - float(rng.uniform(0.1, 0.4)))
    purpose = str(rng.choice(("Demerger", " Demerger")))
    return Action(position, ex_date, "demerger", factor, purpose, instrument.face_value)


def consolidation(position: int, ex_date: date) -> Action:
    """Return a consolidation of ten shares of Re 1 into one of Rs 10, for any face value of the instrument."""
    purpose = "Consolidation Of Equity Shares From Re 1 Per Share To Rs 10 Per Share"
    return Action(position, ex_date, "consolidation", 0.1, purpose, 10, "1:10")


def special_dividend(instrument: Instrument, position: int, ex_date: date, rng: np.random.Generator) -> Action:
    """Return a dividend of 25 to 50% of the price."""
    share = float(rng.uniform(0.25, 0.5))
    purpose = "Special Dividend - {} Per Share"
    return Action(position, ex_date, "special dividend", 1.0, purpose, instrument.face_value, share=share)


def preference_bonus(instrument: Instrument, position: int, ex_date: date) -> Action:
    """Return a bonus of redeemable preference shares, which does not change the equity's price."""
    return Action(position, ex_date, "preference bonus", 1.0, "Bonus Ncrps 1:116", instrument.face_value, "1:116")

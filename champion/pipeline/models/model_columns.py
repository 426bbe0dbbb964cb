"""Choose the columns that a model of a feature set is trained on, free of the scale of prices.

1. Champion's v1 features in rupees and shares become the inputs of `champion.modeling.model_inputs`.
2. Features of the set technical in rupees are levels to draw; their scale-free forms are features too. They are left
   out, with a note.
3. Other features are ranked within the session. A custom feature in rupees is refused; one in shares is ranked, with a
   note.
"""

from dataclasses import dataclass

from champion import features
from champion.base.counting import quantity
from champion.errors import UsageError
from champion.features import TECHNICAL, V1, FeatureSet
from champion.modeling.model_inputs import MODEL_INPUTS, needs


@dataclass(frozen=True, slots=True)
class ModelColumns:
    """The inputs of a model: `derived` from v1 features and bars, then `ranked` features.

    `notes` are sentences about how features in rupees or shares are used, or left out.
    """

    derived: tuple[str, ...]
    ranked: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of the inputs, in the model's order."""
        return [*self.derived, *self.ranked]


def model_columns(feature_set: str | FeatureSet) -> ModelColumns:
    """Return the columns that a model of the set is trained on.

    Raises:
        UsageError: the set is not known, no feature is left, a custom feature is in rupees, or has the name of an input
            derived from v1.

    >>> model_columns("v1").names[:2], model_columns("alpha158").derived
    (['close_to_sma_5', 'close_to_sma_10'], ())
    >>> technical = model_columns("technical").names
    >>> "support" in technical, "close_to_support" in technical
    (False, True)
    """
    chosen = features.find(feature_set)
    shipped = {id(each): each.name for each in V1.features}
    of_v1 = [each.name for each in chosen.features if id(each) in shipped]
    lines = [each.name for each in chosen.features if id(each) in _LINES]
    other = tuple(each.name for each in chosen.features if id(each) not in shipped and id(each) not in _LINES)
    derived = tuple(name for name in MODEL_INPUTS if needs(name) <= {*of_v1}) if of_v1 else ()
    if derived and (twice := sorted({*derived, "close", "volume"} & {*other})):
        raise UsageError(
            f"feature set {chosen.version}: {', '.join(twice)} has the name of an input made from v1 features, or of a "
            "column that these are made from; give it another name"
        )
    _, units = _known.get(id(chosen)) or _known.setdefault(id(chosen), (chosen, features.levels(chosen)))
    if rupees := [name for name in other if units.get(name) == "rupee"]:
        raise UsageError(
            f"feature set {chosen.version}: {', '.join(rupees)} depends on the level of prices: a split changes it, so "
            "it does not compare across instruments. Divide it by a price, such as pl.col('close'), to train on it"
        )
    if not derived and not other:
        raise UsageError(
            f"feature set {chosen.version}: all its features are in rupees, which do not compare across instruments; "
            "add their scale-free forms, such as close_to_support"
        )
    notes = []
    if lines:
        notes.append(
            f"{quantity(len(lines), 'level')} in rupees, such as {lines[0]}, not trained on: they do not compare"
        )
    if of_v1 and other:
        notes.append(f"v1 features are trained on as {len(derived)} inputs free of scale, as the champion is")
    if shares := [name for name in other if units.get(name) == "share"]:
        notes.append(f"{', '.join(shares)}: in shares, which a split changes; only the rank within a session is used")
    return ModelColumns(derived, other, tuple(notes))


_LINES = {id(each) for each in TECHNICAL.features if each.unit == "rupee"}
_known: dict[int, tuple[FeatureSet, dict[str, str]]] = {}
"""The units of each set's custom features that depend on the price level; the set keeps its id from being reused."""

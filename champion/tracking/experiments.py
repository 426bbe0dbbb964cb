"""The MLflow experiment of a notebook's runs, whether a flow, a command or a person starts them."""

from __future__ import annotations

TRAINING = "equity-price-prediction"
MODEL_HEALTH = "model-health"
SEARCH = "recipe-search"
OTHER = "notebooks"
"""The experiment of notebooks that name no other."""
_OF_NOTEBOOK = {
    "ingest": "market-data-ingestion",
    "quality": "data-quality-monitoring",
    "features": "feature-engineering",
    "training": TRAINING,
    "promotion": "model-promotion",
    "portfolio": "portfolio-simulation",
    "scoring": TRAINING,
    "decay": MODEL_HEALTH,
    "search": SEARCH,
}


def of_notebook(name: str) -> str:
    """Return the experiment for runs of the notebook `name`.

    >>> of_notebook("training"), of_notebook("mine")
    ('equity-price-prediction', 'notebooks')
    """
    return _OF_NOTEBOOK.get(name, OTHER)

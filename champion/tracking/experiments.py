"""Which experiment the runs of a notebook are in: the same whoever starts it, a flow, a command or a person's cell."""

from __future__ import annotations

TRAINING = "equity-price-prediction"
OTHER = "notebooks"
"""The experiment of every notebook that has none of its own."""
_OF_NOTEBOOK = {
    "ingest": "market-data-ingestion",
    "quality": "data-quality-monitoring",
    "features": "feature-engineering",
    "training": TRAINING,
    "promotion": "model-promotion",
    "scoring": TRAINING,
    "decay": "model-health",
}


def of_notebook(name: str) -> str:
    """Return the experiment that runs of the notebook of this name belong to.

    >>> of_notebook("training"), of_notebook("mine")
    ('equity-price-prediction', 'notebooks')
    """
    return _OF_NOTEBOOK.get(name, OTHER)

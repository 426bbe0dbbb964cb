"""Addresses of MLflow's pages, as its version 3 wants them: without the workflow it shows traces instead of runs."""

from __future__ import annotations

_WORKFLOW = "workflowType=machine_learning"


def experiments_page(base: str) -> str:
    """Return the address of the list of experiments.

    >>> experiments_page("http://127.0.0.1:5000/")
    'http://127.0.0.1:5000/#/experiments?workflowType=machine_learning'
    """
    return f"{base.rstrip('/')}/#/experiments?{_WORKFLOW}"


def experiment_page(base: str, experiment: str) -> str:
    """Return the address of the list of runs of an experiment, named by its id.

    >>> experiment_page("http://127.0.0.1:5000", "3")
    'http://127.0.0.1:5000/#/experiments/3/runs?workflowType=machine_learning'
    """
    return f"{base.rstrip('/')}/#/experiments/{experiment}/runs?{_WORKFLOW}"


def run_page(base: str, experiment: str, run_id: str) -> str:
    """Return the address of one run.

    >>> run_page("http://127.0.0.1:5000", "3", "5f0c")
    'http://127.0.0.1:5000/#/experiments/3/runs/5f0c?workflowType=machine_learning'
    """
    return f"{base.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}?{_WORKFLOW}"

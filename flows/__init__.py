"""Prefect flows: they run notebooks and pipeline steps in order. Start them with `champion` or a deployment."""

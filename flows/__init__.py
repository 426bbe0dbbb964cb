"""Prefect flows: thin orders of notebook runs and pipeline calls. Start them with `champion` or a deployment."""

"""Warehouse loads, retention, and the files that a new dataset needs."""

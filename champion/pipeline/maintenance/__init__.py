"""Maintenance of a workspace: warehouse loads and retention."""

"""Keeping a workspace in step and small: warehouse loads and retention."""

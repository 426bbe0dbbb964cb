"""Provenance: what data was derived from, and what was derived from it."""

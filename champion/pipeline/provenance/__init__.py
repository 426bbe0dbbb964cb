"""Provenance: the inputs from which data was derived, and the results that were derived from it."""

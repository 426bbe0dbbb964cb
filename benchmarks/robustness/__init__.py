"""Measure robustness: faults, kills, bad input, backfills of many years, interleaved commands."""

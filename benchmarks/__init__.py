"""Benchmarks of speed (`speed`), correctness (`evidence`) and robustness (`robustness`); each folder has a README."""

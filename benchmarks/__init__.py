"""Benchmarks: how fast (`speed`), how true (`evidence`), how tough (`robustness`); each folder has its page."""

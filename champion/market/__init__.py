"""Normalize, validate and check market data: bars, lists, quality gates. Frames in, frames out."""

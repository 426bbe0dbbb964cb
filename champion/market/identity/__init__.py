"""Identify the instrument behind a symbol: ISINs, symbol changes and their evidence. Frames in, frames out."""

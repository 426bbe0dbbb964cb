"""Which instrument a symbol stands for: ISINs, symbol changes and their evidence. Frames in, frames out."""

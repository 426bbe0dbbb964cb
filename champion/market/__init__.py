"""What the exchange published and what it means: bars, lists, quality. Frames in, frames out."""

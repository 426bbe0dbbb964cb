"""Corporate actions: their texts, adjustment factors and adjusted prices. Frames in, frames out."""

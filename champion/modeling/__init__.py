"""What a model learns, and whether it is true: inputs, labels, splits, estimators, metrics. Frames in, frames out."""

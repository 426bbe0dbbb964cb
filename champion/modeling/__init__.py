"""Model inputs, labels, splits, estimators, training, metrics and tests for leakage. Frames in, frames out."""

"""How much of a figure may be luck: the level that decisions spend, and the probability of overfitting."""

"""Where data came from, and what was made from it."""

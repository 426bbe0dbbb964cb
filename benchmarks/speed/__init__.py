"""How fast the stages, commands and queries are, and what they cost."""

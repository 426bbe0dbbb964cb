"""The time and cost of stages, commands and queries."""

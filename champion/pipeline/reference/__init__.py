"""How published lists become reference data as of a date: index members and sectors."""

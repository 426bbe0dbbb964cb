"""Reference data as known on a date: what an instrument is, and which lists hold it."""

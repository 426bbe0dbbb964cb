"""Reference data as known on a date: what an instrument is, when it traded, and its indices, sectors and bands."""

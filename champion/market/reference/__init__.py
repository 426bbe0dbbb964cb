"""Reference data of instruments as of a date: what an instrument is, and to which indices and sectors it belonged."""

"""Test the results against the files of the exchange, exact arithmetic, other libraries and chance."""

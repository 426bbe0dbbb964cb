"""Parsers of the lists that the exchange and its index provider publish, one module a list: bytes in, rows out."""

"""What a terminal shows: console, tables, completion."""

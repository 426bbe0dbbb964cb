"""How tough the system is: faults, kills, bad input, years of load, interleaved commands."""

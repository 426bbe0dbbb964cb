"""Lists of reference data that the simulated exchange publishes, with the traps of real ones."""

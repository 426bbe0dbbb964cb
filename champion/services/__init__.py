"""Servers on this machine: found where they run, started where they do not, always on loopback."""

"""Find and start servers on this machine, always on loopback."""

"""The parts of faults.py: a workspace, faults, and the comparison of the workspace afterwards."""

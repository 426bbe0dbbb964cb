"""The parts of coverage.py: each examines one promise of the data and returns a section of the page."""

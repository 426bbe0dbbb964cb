"""The parts of coverage.py: each examines one property of the data and returns a section of the page."""

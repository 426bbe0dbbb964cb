"""The parts of `coverage.py`: each looks at one promise of the data core and returns a section of its report."""

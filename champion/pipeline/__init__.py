"""The steps in order: read a dataset, call a stage, write the next. Only this package knows what follows what."""

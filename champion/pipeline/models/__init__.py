"""Features to decisions: training frames, registration, evaluation, scores and their outcomes."""

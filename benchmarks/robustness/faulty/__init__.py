"""What faults.py is made of: a workspace to disturb, ways to disturb it, and a look at what came of it."""

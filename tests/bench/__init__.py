"""`make bench`: the goals for speed, each measured beside something that is run in the same minutes."""

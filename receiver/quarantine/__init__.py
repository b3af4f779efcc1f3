"""Stage 4: what to do to a resource next, as values."""

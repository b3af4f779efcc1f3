"""Takedown Receiver. Importing this package does nothing; `cli` starts it, `pipeline` is the story."""

__version__ = "0.1.0"

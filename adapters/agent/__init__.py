"""The small privileged process that acts on a machine's files and gates, and the worker's end of the line to it."""

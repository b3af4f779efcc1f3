"""Gate and cache of an nginx on the same machine. They run in the agent."""

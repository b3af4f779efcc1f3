"""Files under a docroot, blocked by moving them into a quarantine directory on the same filesystem."""

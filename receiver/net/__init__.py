"""The guarded sender: fixed address, no redirects, bounded."""

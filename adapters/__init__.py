"""Storage servers, gates and caches behind one contract. Importing this package does nothing."""

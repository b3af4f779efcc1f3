"""Purging a Varnish cache. Importing this package does nothing."""

"""Use cases of the web, the admin pages and the command line."""

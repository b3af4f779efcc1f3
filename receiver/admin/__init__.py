"""The staff port: pages for the people who oversee."""

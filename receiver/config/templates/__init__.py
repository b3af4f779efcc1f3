"""What `init` writes. A package, so that installing takes the files along."""

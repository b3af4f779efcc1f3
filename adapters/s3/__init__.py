"""Storage adapter for S3 and for servers that speak its language. What each can do: README.md beside this file."""

"""Stage 1: bytes to a Notice or Direction: what the bytes say, before anybody trusts them."""

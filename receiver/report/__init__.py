"""Stage 5: what the issuer hears, and when it is tried again."""

"""The issuer's side: sign, send, listen."""

"""The demo site and its issuer, made of generated colour fields."""

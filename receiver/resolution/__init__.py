"""Stage 3: a URL to the customer's resource."""

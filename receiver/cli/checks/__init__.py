"""The questions of `check`, one module for each part. A question looks and answers; it changes nothing that stays."""

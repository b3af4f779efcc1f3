"""Stage 2: an UnverifiedRequest to a VerifiedRequest, and with what it says to a VerifiedNotice, or a refusal."""

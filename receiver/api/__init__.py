"""The public port: signed notices in, signed receipts out."""

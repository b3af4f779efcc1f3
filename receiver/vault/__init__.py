"""Sealed evidence: age files that the receiver can write and not open."""

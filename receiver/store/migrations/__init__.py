"""Alembic scripts; part of the installed package."""

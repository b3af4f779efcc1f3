"""Refusals as the faces see them."""

from __future__ import annotations

from receiver.steps.refusals import Fault, RefusedError, cut_short, too_large, too_many

__all__ = ["Fault", "RefusedError", "cut_short", "too_large", "too_many"]

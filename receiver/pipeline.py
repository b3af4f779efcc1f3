"""What happens to a notice, in order. This is the only place that knows the order; docs/notice-cycle.md numbers it.

    bytes ─▶ intake ─▶ verification        `receive`   web: recorded durably, answered with a signed receipt
                          ─▶ resolution    `resolve`   worker: verified again; each item becomes a case, or a question
             ─▶ quarantine                 `exposure`  denied at the gates, blocked, purged, seen gone from outside
                    └────────▶ evidence    `evidence`  sealed, read back; later, and only then, removed
                          ─▶ report        `deliver`   every change told to the issuer, signed, in order

The database is the queue: each line is a track with one row of `work` for each notice or case. A worker leases a row
that is due, takes one step, and commits what came of it together with the intent of the next. Steps act through the
ports in `Tools` and return values; nothing is written but by the commit. Whatever a crash interrupts is found by its
journalled intent and finished with the same operation id.
"""

from __future__ import annotations

from receiver.domain.rows import WorkRow
from receiver.domain.status import Track
from receiver.steps.deliver import deliver
from receiver.steps.evidence import evidence
from receiver.steps.exposure import exposure
from receiver.steps.resolve import resolve
from receiver.steps.tools import Step, Tools

__all__ = ["Step", "Tools", "advance"]


def advance(work: WorkRow, tools: Tools) -> Step:
    """Take one step of a leased row. The caller commits the outcome, and goes on at once while it keeps the lease."""
    match work.track:
        case Track.RESOLVE:
            return resolve(work, tools)  # 3 verify again → 4 find the resource → 5 open a case
        case Track.EXPOSURE:
            return exposure(work, tools)  # 6 deny → 7 block → 8 purge → 9 see it gone → 10 watch
        case Track.EVIDENCE:
            return evidence(work, tools)  # 11 seal and read back → 12 remove when due
        case Track.DELIVER:
            return deliver(work, tools)  # 13 tell the issuer

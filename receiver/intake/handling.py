"""The conditions under which an issuer may ask us to leave material up."""

from __future__ import annotations

import datetime as dt

from receiver.domain.notice import Notice
from receiver.intake.errors import FieldFault, invalid
from receiver.intake.limits import DEFAULT_LIMITS, Limits


def check_handling(
    notice: Notice, *, may_keep_up: bool, received_at: dt.datetime, limits: Limits = DEFAULT_LIMITS
) -> None:
    """Raise IntakeError (422) for a `preserve_only` that this issuer may not ask for, or that has no end.

    Leaving criminal material up is the one request that does harm when it is wrong, so every condition must hold:
    the operator's setting, a police reference, and a deadline within `keep_up_max_hours`.
    """
    if notice.handling.act != "preserve_only":
        return
    faults = []
    if not may_keep_up:
        faults.append(FieldFault(pointer="/handling/act", message="preserve_only is not open to this issuer here"))
    if notice.handling.police_reference is None:
        faults.append(FieldFault(pointer="/handling/police_reference", message="is required with preserve_only"))
    latest = received_at + dt.timedelta(hours=limits.keep_up_max_hours)
    if notice.deadline_at is None or not received_at < notice.deadline_at <= latest:
        rule = f"must be in the future and at most {limits.keep_up_max_hours} hours away with preserve_only"
        faults.append(FieldFault(pointer="/deadline", message=rule))
    if faults:
        raise invalid("notice", tuple(faults))

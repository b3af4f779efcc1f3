"""Take a notice or a direction: who, what, may they, was it here before, record it. In this order, for this reason.

A stranger must not be able to write the database, so nothing is stored before the signature held. A known issuer that
is turned away leaves its nonce and a ledger entry. What is taken is durable before anybody is answered.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from receiver.domain.clock import to_micros
from receiver.domain.errors import ConflictError, StoreUnavailableError
from receiver.domain.notice import UnverifiedRequest, VerifiedNotice, VerifiedRequest
from receiver.domain.outcome import Outcome
from receiver.domain.rows import NoticeRow
from receiver.intake.errors import IntakeError
from receiver.intake.handling import check_handling
from receiver.intake.notice import parse_notice
from receiver.intake.same import same_notice
from receiver.steps import refusals
from receiver.steps.admission import WebPorts, admit, record_refusal, refuse_replay, refuse_used, spend
from receiver.steps.received_rows import record_notice
from receiver.steps.refusals import RefusedError
from receiver.verification.errors import BindingError
from receiver.verification.policy import bind_notice

RACES = 3
"""Two workers of the web may be handed the same notice at once; whoever loses reads what the other wrote."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A request that was taken, or had been."""

    receipt: Mapping[str, Any]
    repeated: bool
    verified: VerifiedRequest
    """What the answer's signature is bound to."""


def receive_notice(request: UnverifiedRequest, web: WebPorts) -> Accepted:
    """Take a notice. Raises RefusedError with the answer for whoever sent it."""
    try:
        received_at = web.clock.now()
        verified = admit(request, web, received_at)
        try:
            return _take(_read_new(verified, web, received_at), web, to_micros(received_at))
        except RefusedError as refusal:
            record_refusal(verified, refusal, "notice.refused", web)
            raise
    except (StoreUnavailableError, ConflictError) as error:
        raise refusals.not_recorded() from error


def status_path(notice_id: str) -> str:
    return f"/v1/notices/{notice_id}"


def _read_new(verified: VerifiedRequest, web: WebPorts, received_at: dt.datetime) -> VerifiedNotice:
    """A replay hears that it is one, whatever else is wrong with it; that of a sound notice `_take` finds."""
    try:
        return _read(verified, web, received_at)
    except RefusedError:
        refuse_replay(verified, web)
        raise


def _read(verified: VerifiedRequest, web: WebPorts, received_at: dt.datetime) -> VerifiedNotice:
    """What the signed bytes ask for, as far as this issuer may ask for it."""
    try:
        notice = bind_notice(verified, parse_notice(verified.request.body, web.limits))
        issuer = web.policy.issuers.get(verified.issuer)
        if issuer is None or issuer.categories.get(notice.notice.category, "refuse") == "refuse":
            raise refusals.category_not_allowed()
        check_handling(notice.notice, may_keep_up=issuer.may_keep_up, received_at=received_at, limits=web.limits)
    except IntakeError as error:
        raise refusals.from_intake(error) from error
    except BindingError as error:
        raise refusals.from_binding(error) from error
    return notice


def _take(taken: VerifiedNotice, web: WebPorts, now: int) -> Accepted:
    path = status_path(taken.notice.notice_id)
    for race in range(RACES):
        used, known = web.reads.find_received(taken.verified.issuer, taken.verified.nonce, taken.notice.notice_id)
        refuse_used(taken.verified, used, web)
        if known is not None:
            return _repeat(known, taken, web)
        wait_seconds = None if race else web.budget.take_items(taken.notice.issuer, len(taken.notice.items))
        if wait_seconds is not None:
            raise refusals.too_many(wait_seconds)
        outcome, receipt = record_notice(taken, now=now, policy=web.policy, status_url=web.origins[0] + path)
        try:
            spend(taken.verified, web, outcome, status_path=path)
        except ConflictError:
            continue
        return Accepted(receipt=receipt, repeated=False, verified=taken.verified)
    raise refusals.not_recorded()


def _repeat(known: NoticeRow, taken: VerifiedNotice, web: WebPorts) -> Accepted:
    if not same_notice(web.reads.load_message(known.message_id).body, taken.notice.raw):
        raise refusals.id_reused("notice")
    spend(taken.verified, web, Outcome(), status_path=status_path(known.notice_id))
    return Accepted(receipt=known.receipt, repeated=True, verified=taken.verified)

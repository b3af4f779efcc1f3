"""What an item of a notice comes to before anything is done: a resource, a URL alone, a person, or an end.

Pure. The step in `receiver.steps.resolve` asks the adapter in between: `first_judgement` says whether and what to
observe, `judge_observation` what follows from it. Doubt goes to a person, never to a mass action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapters.contract import DenyTarget, DirectoryHit, Observation, Ref, to_json
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.domain.ports import Spent
from receiver.domain.rows import ItemRow, NoticeRow
from receiver.domain.status import Act, ItemStatus
from receiver.domain.web import CanonicalUrl
from receiver.resolution.protection import Protected, is_program, is_protected

OVER_ACTS, OVER_CUSTOMERS = OVER_LIMIT = ("over_limit_acts", "over_limit_customers")


class Course(StrEnum):
    """Which way an item goes."""

    OBSERVE = "observe"  # ask the adapter first
    RESOURCE = "resource"  # a case on the stored resource
    URL_ALONE = "url_alone"  # a case on the URL: denied at the gates
    REVIEW = "review"  # a person decides; `deny` says whether the gates refuse it meanwhile
    END = "end"  # nothing to do; `status` says why


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Where an item goes, and the reason the issuer and the reviewer read."""

    course: Course
    reason: str | None = None
    status: ItemStatus | None = None
    deny: bool = False


@dataclass(frozen=True, kw_only=True)
class Question:
    """One item with all that is known before the adapter is asked."""

    item: ItemRow
    notice: NoticeRow
    url: CanonicalUrl
    hit: DirectoryHit | None
    issuer: IssuerPolicy
    policy: Policy
    protected: Sequence[Protected]
    spent: Spent

    @property
    def preserving(self) -> bool:
        """Police are watching: nothing may be done that a visitor would notice."""
        return bool(self.notice.handling.get("act") == Act.PRESERVE_ONLY)

    @property
    def approved(self) -> bool:
        """A person already said yes to this very item."""
        return self.item.approved_by is not None


def _review(reason: str, *, deny: bool = False) -> Judgement:
    return Judgement(course=Course.REVIEW, reason=reason, status=ItemStatus.REVIEW, deny=deny)


def first_judgement(q: Question) -> Judgement:
    """Decide as far as it goes without the store. In this order: ours, allowed, wanted, protected, within limits."""
    hit = q.hit
    if hit is None:
        return Judgement(course=Course.END, status=ItemStatus.NOT_HOSTED, reason="no_route")
    if q.url.ip_literal and not hit.source.startswith(f"route {q.url.host}/"):
        return Judgement(course=Course.END, status=ItemStatus.NEEDS_INFORMATION, reason="ip_literal")
    if q.notice.kind == "test" and hit.customer != q.policy.test_customer:
        return Judgement(course=Course.END, status=ItemStatus.NEEDS_INFORMATION, reason="not_a_test_resource")
    if not q.approved:
        doubt = _doubt(q)
        if doubt is not None:
            return doubt
    if hit.ref is None or is_program(q.url):
        # One file behind many pages is never blocked for one of them; the exact URL is refused at the gate instead.
        return _url_alone(q, "page_without_gate" if hit.ref is not None else "no_adapter")
    return Judgement(course=Course.OBSERVE)


def _doubt(q: Question) -> Judgement | None:
    rule = q.issuer.categories.get(q.notice.category, "refuse")
    if rule == "shadow":
        return _review("shadow")
    if rule != "act":
        return _review(f"category_{rule}")
    protection = is_protected(q.url, q.protected)
    # A page that a program makes is itself exact where its query chooses it; the program's own front page is not.
    if protection is not None and not (protection == "index" and q.url.query and is_program(q.url)):
        return _review(protection)
    if q.spent.acts >= q.issuer.max_acts_per_hour:
        return _review(OVER_ACTS)
    if q.spent.customers >= q.issuer.max_customers_per_hour:
        return _review(OVER_CUSTOMERS)
    return None


def _url_alone(q: Question, without_gate: str) -> Judgement:
    if q.preserving:
        # There is nothing exact enough to seal a copy of, and refusing the URL would tell whoever watches it.
        return Judgement(course=Course.END, status=ItemStatus.NEEDS_INFORMATION, reason="nothing_to_preserve")
    if q.hit is not None and q.hit.gates:
        return Judgement(course=Course.URL_ALONE)
    return _review(without_gate)


def judge_observation(q: Question, seen: Observation) -> Judgement:
    """After the store was asked: shared or too many goes to a person, denied at the gates meanwhile."""
    deny = bool(q.hit and q.hit.gates) and not q.preserving
    if not q.approved:
        if any(not name.in_scope for name in seen.other_names):
            return _review("shared", deny=deny)
        if 1 + len(seen.other_names) + max(0, len(seen.versions) - 1) > q.policy.max_resources_per_item:
            return _review("too_many_resources", deny=deny)
    return Judgement(course=Course.RESOURCE)


def judge_unobservable(q: Question) -> Judgement:
    """The store says that this is no plain object (a folder, a device, outside the customer's part)."""
    return _url_alone(q, "not_a_plain_object")


def case_identity(q: Question, judgement: Judgement, seen: Observation | None) -> tuple[str, Ref]:
    """Adapter name and locator of the case; a link is followed to the real name, so that two names share a case."""
    if judgement.course is not Course.RESOURCE or q.hit is None or q.hit.ref is None or q.hit.adapter is None:
        return "url", Ref(locator=q.url.url.encode())
    locator = seen.resolved if seen is not None and seen.resolved else q.hit.ref.locator
    return q.hit.adapter, Ref(locator=locator, scope=q.hit.ref.scope)


def way_to(q: Question, *, stored: bool) -> Mapping[str, Any]:
    """How this URL is reached and refused: kept with the case, so that a changed route cannot strand it.

    `stored`: a stored file, whose query chooses nothing, is refused with any query.
    """
    hit, url = q.hit, q.url
    target = DenyTarget(url=url.url, host=url.host, path=url.path, query=url.query, any_query=stored)
    return {
        "raw": url.raw,
        "caches": list(hit.caches) if hit else [],
        "gates": list(hit.gates) if hit else [],
        "look_at": list(hit.look_at) if hit else [],
        "aliases": list(hit.aliases) if hit else [],
        "any_query": stored,
        "referrer": q.item.details.get("referrer"),
        "deny": to_json(target),
    }

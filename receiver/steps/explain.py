"""A dry run: what a notice about this URL would do here, and whom else it would touch. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.contract import DirectoryHit, Observation, Retryable
from receiver.domain.policy import IssuerPolicy
from receiver.domain.ports import Spent
from receiver.domain.rows import ItemRow, NoticeRow
from receiver.domain.status import ItemStatus
from receiver.domain.web import CanonicalUrl
from receiver.resolution.resolve import Course, Judgement, Question, first_judgement
from receiver.resolution.urls import UrlRefusedError, canonical_url
from receiver.steps.resolve import observe
from receiver.steps.tools import Tools

ANY_CATEGORY = "explain"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """`facts` is fit for JSON; locators are shown, since the operator's own machine asks. URLs are defanged."""

    facts: dict[str, Any]
    acts: tuple[str, ...]
    """What would be done, in order, in words."""


def explain(raw: str, tools: Tools) -> Explanation:
    """As if an issuer with every right had sent it. Raises nothing for a bad URL: that is an answer too."""
    try:
        url = canonical_url(raw)
        hit = tools.routes.resolve(url)
    except UrlRefusedError as exc:
        refused: dict[str, Any] = {
            "status": ItemStatus.NEEDS_INFORMATION.value,
            "reason": exc.reason,
            "words": exc.words,
        }
        return Explanation(facts=refused, acts=("nothing: the URL is not exact enough to act on",))
    question = _question(raw, url, hit, tools)
    judgement, seen, trouble = first_judgement(question), None, None
    if judgement.course is Course.OBSERVE:
        try:
            answer = observe(question, tools)
            judgement, seen = answer.judgement, answer.seen
        except Retryable as exc:
            trouble = str(exc)
    facts: dict[str, Any] = {"canonical": shown(url), **_route(question), **_resource(seen), "store_trouble": trouble}
    facts |= {"course": judgement.course.value, "reason": judgement.reason}
    return Explanation(facts=facts, acts=tuple(_acts(question, judgement, seen)))


def shown(url: CanonicalUrl) -> str:
    """The whole canonical form, with nothing to click on."""
    host = url.host.replace(".", "[.]")
    return f"{url.scheme.replace('tt', 'xx', 1)}://{host}:{url.port}{url.request_target}"


def _question(raw: str, url: CanonicalUrl, hit: DirectoryHit | None, tools: Tools) -> Question:
    now = tools.now()
    return Question(
        item=_item(raw, url.host, now=now),
        notice=_notice(now=now),
        url=url,
        hit=hit,
        issuer=IssuerPolicy(id="", categories={ANY_CATEGORY: "act"}),
        policy=tools.policy,
        protected=tools.protected,
        spent=Spent(acts=0, customers=0),
    )


def _item(raw: str, host: str, *, now: int) -> ItemRow:
    return ItemRow(
        id="",
        notice="",
        item_id="1",
        url=raw,
        canonical=None,
        host=host,
        status=ItemStatus.RECEIVED,
        reason=None,
        status_at=now,
        approved_by=None,
        withdrawn_at=None,
        iccam_at=None,
        details={},
    )


def _notice(*, now: int) -> NoticeRow:
    return NoticeRow(
        id="",
        notice_id="",
        issuer="",
        message_id="",
        body_sha256="",
        issued_at=now,
        category=ANY_CATEGORY,
        kind="takedown",
        handling={},
        deadline_at=None,
        receipt={},
        last_sequence=0,
        created_at=now,
    )


def _route(question: Question) -> dict[str, Any]:
    hit = question.hit
    if hit is None:
        return {"route": None}
    return {
        "route": hit.source,
        "customer": hit.customer,
        "adapter": hit.adapter,
        "locator": _text(hit.ref.locator) if hit.ref else None,
        "caches": list(hit.caches),
        "gates": list(hit.gates),
        "look_at": list(hit.look_at),
    }


def _resource(seen: Observation | None) -> dict[str, Any]:
    if seen is None:
        return {"presence": None}
    return {
        "presence": seen.presence.value,
        "real_name": _text(seen.resolved) if seen.resolved else None,
        "versions": [{"size_bytes": v.size_bytes, "current": v.current} for v in seen.versions],
        "same_customer_names": [_text(n.locator) for n in seen.other_names if n.in_scope],
        "other_customers_names": [_text(n.locator) for n in seen.other_names if not n.in_scope],
        "notes": list(seen.notes),
    }


def _acts(question: Question, judgement: Judgement, seen: Observation | None) -> list[str]:
    hit = question.hit
    if judgement.course is Course.END or hit is None:
        return [f"nothing: the issuer hears {judgement.status.value if judgement.status else 'not_hosted'}"]
    gates = [f"deny the URL at gate {gate}" for gate in hit.gates]
    if judgement.course is Course.REVIEW:
        meanwhile = gates if judgement.deny else []
        return [*meanwhile, f"ask a person first: {judgement.reason}"]
    if judgement.course is Course.OBSERVE:
        return ["wait for the store, which does not answer now"]
    acts = list(gates)
    if judgement.course is Course.RESOURCE and seen is not None:
        count = 1 + sum(name.in_scope for name in seen.other_names)
        acts += (
            [f"block {count} name(s) at {hit.adapter}", "seal the bytes"] if seen.versions else ["look from outside"]
        )
    return [*acts, *(f"purge cache {cache}" for cache in hit.caches), "look from outside until it is gone"]


def _text(locator: bytes) -> str:
    return locator.decode("utf-8", "backslashreplace")

"""Looks at a notified URL as a visitor would, at every address of its host, and says what it saw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote_to_bytes

import can_ada
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from receiver.domain.clock import Clock, SystemClock, to_micros
from receiver.domain.web import DEFAULT_PORTS, MALFORMED, NO_ROUTE, TO_HTTPS, Look, LookKind, LookTarget, Seen
from receiver.net.errors import SendError
from receiver.net.guard import (
    PRIVATE_CLASSES,
    Address,
    Resolver,
    address_class,
    parse_address,
    resolve_public,
    system_resolver,
)
from receiver.net.sockets import tls_context
from receiver.outside.ask import CONNECT_SECONDS, TOTAL_SECONDS, Question, UnansweredError, ask
from receiver.outside.judge import has_broken_escape, judge

__all__ = ["BROWSER", "OutsideLooker"]

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
"""Looks come as a common browser: a hostile customer could answer 404 to a checker that names itself."""
LOOKS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True, repr=False)
class _Plan:
    """One request to make: a question, where to, and what kind of look it is."""

    kind: LookKind
    question: Question
    address: Address
    url: str


class OutsideLooker:
    """The `Outside` port. Thread-safe; `close` when the process ends.

    The caller sees to it that the host is one of the operator's routes. Redirects are never followed, bodies never
    read, and certificates are checked, since an answer under a wrong name proves nothing.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        ca_file: str | None = None,
        resolver: Resolver = system_resolver,
        user_agent: str = BROWSER,
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._clock = clock or SystemClock()
        self._context = tls_context(ca_file, DEFAULT_CA_BUNDLE_PATH)
        self._resolver = resolver
        self._user_agent = user_agent
        self._connect_seconds = connect_seconds
        self._total_seconds = total_seconds
        self._pool = ThreadPoolExecutor(max_workers=LOOKS_AT_ONCE, thread_name_prefix="look")

    def look(self, target: LookTarget) -> tuple[Look, ...]:
        """The exact URL at every address first; its variants only once those are all gone.

        Never raises for what the other side does: no answer is a look too, and an inconclusive one.
        """
        try:
            exact = _exact(target, self._user_agent)
            addresses = self._addresses(target)
        except (SendError, _UnreadableUrlError) as exc:
            note = exc.kind.value if isinstance(exc, SendError) else "unreadable_url"
            return (self._failed(target, LookKind.EXACT, "", note),)
        plans = [_plan(LookKind.EXACT, exact, address) for address in addresses]
        if target.referrer is not None:
            plans.append(_plan(LookKind.REFERRER, _with(exact, Referer=_header(target.referrer)), addresses[0]))
        looks = self._all(target, plans)
        if not all(look.verdict is Seen.GONE or look.note in (TO_HTTPS, NO_ROUTE, MALFORMED) for look in looks):
            return looks
        return looks + self._all(target, _variants(target, exact, addresses))

    def close(self) -> None:
        """Waits for looks under way, which end within their limits."""
        self._pool.shutdown()

    def _addresses(self, target: LookTarget) -> list[Address]:
        """What the route names, private or not, or what the host name resolves to, public only."""
        if not target.look_at:
            return resolve_public(target.host, target.port, resolver=self._resolver)
        return [parse_address(text) for text in target.look_at]

    def _all(self, target: LookTarget, plans: Iterable[_Plan]) -> tuple[Look, ...]:
        return tuple(self._pool.map(lambda plan: self._one(target, plan), plans))

    def _one(self, target: LookTarget, plan: _Plan) -> Look:
        kind = address_class(plan.address.ip)
        if kind is not None and kind not in PRIVATE_CLASSES:
            return self._failed(target, plan.kind, str(plan.address), "refused_address")
        try:
            answer = ask(
                plan.question,
                plan.address,
                self._context,
                connect_seconds=self._connect_seconds,
                total_seconds=self._total_seconds,
            )
        except UnansweredError as exc:
            return self._failed(target, plan.kind, str(plan.address), exc.note)
        judged = judge(answer, target, requested_url=plan.url)
        return Look(
            address=str(plan.address),
            status=answer.status,
            at=to_micros(self._clock.now()),
            vantage=target.vantage,
            verdict=judged.verdict,
            note=judged.note,
            edge=answer.edge,
            etag=answer.etag,
            length=answer.length,
            age_seconds=answer.age_seconds,
            location_host=judged.location_host,
            kind=plan.kind,
        )

    def _failed(self, target: LookTarget, kind: LookKind, address: str, note: str) -> Look:
        return Look(
            address=address,
            status=None,
            at=to_micros(self._clock.now()),
            vantage=target.vantage,
            verdict=Seen.INCONCLUSIVE,
            note=note,
            kind=kind,
        )


class _UnreadableUrlError(Exception):
    """The notified URL cannot be read; mapping refuses such URLs, so this is an old row or a slip of a caller."""


def _exact(target: LookTarget, user_agent: str) -> Question:
    """The request that a browser makes for the notified text: nothing is spelled anew beyond what browsers do."""
    try:
        parsed = can_ada.parse(target.url)
    except (ValueError, TypeError):
        raise _UnreadableUrlError from None
    origin = f"{target.scheme}://{parsed.host}"
    href = parsed.href.partition("#")[0]
    if not href.startswith(f"{origin}/"):
        raise _UnreadableUrlError
    return Question(
        scheme=target.scheme,
        host=target.host,
        authority=parsed.host,
        request_target=href.removeprefix(origin),
        headers={"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity", "Range": "bytes=0-0"},
    )


def _variants(target: LookTarget, exact: Question, addresses: Sequence[Address]) -> list[_Plan]:
    """Other spellings that a cache may hold by themselves; each is asked of every address."""
    path, mark, query = exact.request_target.partition("?")
    asked: list[tuple[LookKind, Question]] = [(LookKind.GZIP, _with(exact, **{"Accept-Encoding": "gzip, br"}))]
    respelled = quote(unquote_to_bytes(path), safe="/-._~!$&'()*+,;=:@")
    if respelled != path and "%2f" not in path.lower():
        asked.append((LookKind.SPELLING, replace(exact, request_target=respelled + mark + query)))
    if mark and target.any_query:
        # Where the path itself is refused, only the spelling that a server takes says anything.
        asked.append((LookKind.NO_QUERY, replace(exact, request_target=respelled if has_broken_escape(path) else path)))
    plans = [_plan(kind, question, address) for kind, question in asked for address in addresses]
    if not target.look_at and target.port == DEFAULT_PORTS[target.scheme]:
        other = "http" if target.scheme == "https" else "https"
        question = replace(exact, scheme=other)
        plans += [_plan(LookKind.SCHEME, question, replace(a, port=DEFAULT_PORTS[other])) for a in addresses]
    return plans


def _plan(kind: LookKind, question: Question, address: Address) -> _Plan:
    url = f"{question.scheme}://{question.authority}{question.request_target}"
    return _Plan(kind=kind, question=question, address=address, url=url)


def _with(question: Question, **headers: str) -> Question:
    return replace(question, headers={**question.headers, **headers})


def _header(text: str) -> str:
    """A referrer comes from the notice, so only what fits into a header line goes out."""
    return quote(text, safe="%/:?#[]@!$&'()*+,;=-._~")[:2048]

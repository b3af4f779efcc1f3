"""All that the staff face is given, as one value. `wiring` builds it, once per process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from argon2 import PasswordHasher

from receiver.domain.clock import Clock
from receiver.domain.figures import Count
from receiver.domain.policy import Policy
from receiver.domain.ports import Committer, LedgerStore, Reads
from receiver.services.desk import DeskService, LiftsPauses
from receiver.services.figures import FigureReads, Figures
from receiver.services.health import Health
from receiver.services.lists import ListService
from receiver.services.passwords import Passwords
from receiver.services.people import PeopleService
from receiver.services.people_store import PeopleStore
from receiver.services.review import ReviewService
from receiver.services.sign_in import SignInService


class AdminStore(Reads, LedgerStore, PeopleStore, LiftsPauses, FigureReads, Protocol):
    """What the staff side needs of the database."""


@dataclass(frozen=True, kw_only=True)
class AdminServices:
    review: ReviewService
    desk: DeskService
    lists: ListService
    people: PeopleService
    sign_in: SignInService
    figures: Figures
    health: Health
    cookie_key: bytes = field(repr=False)
    """Signs the cookie that carries a session's secret."""
    https: bool
    """Whether people reach these pages by https, so that the cookie may be bound to it."""
    close: Callable[[], None]


def make_admin_services(
    *,
    store: AdminStore,
    committer: Committer,
    policy: Policy,
    clock: Clock,
    cookie_key: bytes,
    https: bool,
    write: Callable[[], None],
    close: Callable[[], None],
    shared_counts: Callable[[], Sequence[Count]] = tuple,
    hasher: PasswordHasher | None = None,
) -> AdminServices:
    """`write` is the small write that tells whether we can record."""
    passwords = Passwords(hasher)
    people = PeopleService(store=store, committer=committer, clock=clock, passwords=passwords)
    return AdminServices(
        review=ReviewService(reads=store, committer=committer, policy=policy, clock=clock),
        desk=DeskService(reads=store, pauses=store, committer=committer, policy=policy, clock=clock),
        lists=ListService(reads=store, ledger=store, committer=committer, policy=policy, clock=clock),
        people=people,
        sign_in=SignInService(store=store, committer=committer, clock=clock, passwords=passwords, people=people),
        figures=Figures(reads=store, shared=shared_counts),
        health=Health(write=write, clock=clock),
        cookie_key=cookie_key,
        https=https,
        close=close,
    )

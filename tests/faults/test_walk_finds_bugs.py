"""The walk's model is worth something: three planted bugs, each found by the comparison after a few steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.domain import want as want_module
from receiver.domain.rows import CaseView, ClaimRow
from receiver.steps import heeding
from tests.doubles import databases
from tests.integration.test_random_walk import URLS, Walk

sqlite_template = databases.sqlite_template


@pytest.fixture
def walk(sqlite_template: Path) -> Iterator[Walk]:
    Walk.template = sqlite_template
    made = Walk()
    made.begin(withdrawal="auto", days=30, gates=True)
    yield made
    made.teardown()


def ask(walk: Walk, issuer: str, *, act: str = "remove", hold: bool = False) -> None:
    walk.notify(url=URLS[0], issuer=issuer, act=act, category="csam", more=False, hold=hold)


def withdraw_what_is_held(walk: Walk) -> None:
    ask(walk, "iwf", hold=True)
    walk.direct(pick=0, kind="withdraw", first=False)
    walk.recover()


def withdraw_beside_another(walk: Walk) -> None:
    ask(walk, "iwf")
    ask(walk, "ncmec")
    walk.direct(pick=0, kind="withdraw", first=False)
    walk.recover()


def outlast_the_deadline(walk: Walk) -> None:
    ask(walk, "iwf", act="preserve_only")
    walk.pass_time(seconds=12_000)
    walk.recover()


def forget_holds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(want_module, "has_hold", lambda _view, _now: False)


def forget_another_issuer(patch: pytest.MonkeyPatch) -> None:
    standing = want_module.standing

    def fewer(view: CaseView) -> tuple[ClaimRow, ...]:
        return tuple(claim for claim in standing(view) if claim.notice.issuer != "ncmec")

    patch.setattr(want_module, "standing", fewer)


def forget_deadlines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(heeding, "standing", lambda _view: ())


BUGS = [
    (forget_holds, withdraw_what_is_held),
    (forget_another_issuer, withdraw_beside_another),
    (forget_deadlines, outlast_the_deadline),
]


@pytest.mark.parametrize(("plant", "steps"), BUGS)
def test_planted_bug_is_found(walk: Walk, monkeypatch: pytest.MonkeyPatch, plant: Any, steps: Any) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        steps(walk)


@pytest.mark.parametrize("steps", [steps for _, steps in BUGS])
def test_same_steps_pass_without_the_bug(walk: Walk, steps: Any) -> None:
    steps(walk)
    walk.calm()
    assert walk.shadow.compared

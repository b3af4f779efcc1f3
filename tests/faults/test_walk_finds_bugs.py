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


standing = want_module.standing


def forget_holds(_view: CaseView, _now: int) -> bool:
    return False


def forget_another_issuer(view: CaseView) -> tuple[ClaimRow, ...]:
    return tuple(claim for claim in standing(view) if claim.notice.issuer != "ncmec")


def forget_deadlines(_view: CaseView) -> tuple[ClaimRow, ...]:
    return ()


BUGS = [
    (want_module, "has_hold", forget_holds, withdraw_what_is_held),
    (want_module, "standing", forget_another_issuer, withdraw_beside_another),
    (heeding, "standing", forget_deadlines, outlast_the_deadline),
]
"""In the place of which function; and the steps that must find it."""
IDS = [f"{bug.__name__}-{steps.__name__}" for _, _, bug, steps in BUGS]


@pytest.mark.parametrize(("module", "name", "bug", "steps"), BUGS, ids=IDS)
def test_planted_bug_is_found(
    walk: Walk, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, bug: Any, steps: Any
) -> None:
    monkeypatch.setattr(module, name, bug)
    with pytest.raises(AssertionError):
        steps(walk)


@pytest.mark.parametrize("steps", [steps for *_, steps in BUGS])
def test_same_steps_pass_without_the_bug(walk: Walk, steps: Any) -> None:
    steps(walk)
    walk.calm()
    assert walk.shadow.compared

"""A runner whose steps, commits and leases a test decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from receiver.domain.moves import move
from receiver.domain.outcome import CommitResult, Outcome
from receiver.domain.rows import WorkRow
from receiver.engine import runner as module
from receiver.engine.runner import Runner
from receiver.pipeline import Step
from tests.doubles.case_rows import NOW
from tests.doubles.leases import Leases
from tests.doubles.numbers import set_numbers

Steps = Callable[[WorkRow], Step]


@dataclass(frozen=True)
class Toolbox:
    """What the runner itself asks of the tools, and gives them."""

    may_act: Callable[[], bool] = lambda: True

    def now(self) -> int:
        return NOW


class Ledger:
    """A committer that keeps what it is given; `errors` are raised first, in order."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.written = list(errors), list[Outcome]()

    def submit(self, outcome: Outcome) -> CommitResult:
        if self.errors:
            raise self.errors.pop(0)
        self.written.append(outcome)
        return CommitResult()


class Impatient(threading.Event):
    """Lets nobody wait."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return self.is_set()


class RunnerBench:
    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        steps: Steps,
        *errors: Exception,
        stopping: threading.Event | None = None,
    ) -> None:
        self.ledger, self.stopping, self.dispatched = (
            Ledger(*errors),
            stopping or threading.Event(),
            list[tuple[WorkRow, int]](),
        )
        self.taken: list[WorkRow] = []
        self.leases = Leases()
        self.may_act: Callable[[], bool] = lambda: False
        tools: Any = Toolbox()

        def counted(row: WorkRow, given: Any) -> Step:
            self.taken.append(row)
            self.may_act = given.may_act
            return steps(row)

        monkeypatch.setattr(module, "advance", counted)
        set_numbers(monkeypatch, module, RETRY_SECONDS=0.01)
        self.runner = Runner(
            committer=self.ledger,
            tools=lambda: tools,
            leases=self.leases,
            stopping=self.stopping,
            dispatch=lambda row, term: self.dispatched.append((row, term)),
        )

    def run(self, row: WorkRow) -> None:
        self.runner.run(row, 0)

    @property
    def moves(self) -> list[tuple[str, bool]]:
        return [(o.work.state, o.work.keep) for o in self.ledger.written if o.work is not None]


def onward(row: WorkRow) -> Step:
    """deny → block → purge, then rest."""
    following = {"deny": "block", "block": "purge"}.get(row.state)
    return Step(outcome=Outcome(work=move(row, following or "watch", keep=following is not None)))

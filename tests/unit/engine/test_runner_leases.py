"""What a runner does while its heartbeat is late, and after."""

from __future__ import annotations

import threading

import pytest

from receiver.domain.errors import LostLeaseError
from receiver.domain.rows import WorkRow
from receiver.pipeline import Step
from tests.doubles.case_rows import work_row
from tests.doubles.runner_bench import RunnerBench, onward
from tests.support import wait_until


def test_unhealthy_worker_begins_no_act(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward)
    bench.leases.healthy = False
    running = threading.Thread(target=bench.run, args=(work_row(state="purge"),))
    running.start()
    running.join(0.3)
    assert (running.is_alive(), bench.taken) == (True, [])
    bench.leases.healthy = True
    wait_until(lambda: bench.moves == [("watch", False)], "it goes on when the heartbeat is back")
    running.join(5)


def test_unhealthy_worker_ends_when_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward)
    bench.leases.healthy = False
    bench.stopping.set()
    bench.run(work_row(state="purge"))
    assert bench.taken == []


def test_row_taken_while_it_waited_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited in its lane, the process was frozen, another has it: its epoch is told by the database alone."""
    bench = RunnerBench(monkeypatch, onward)
    bench.leases.late_and_back("case-1")
    bench.run(work_row(subject="case-1"))
    assert (bench.taken, bench.ledger.written) == ([], [])


def test_row_that_nobody_took_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward)
    bench.leases.late_and_back("case-2")
    bench.run(work_row(subject="case-1", state="purge"))
    assert bench.moves == [("watch", False)]


def test_row_taken_between_two_steps_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def frozen_in(row: WorkRow) -> Step:
        bench.leases.late_and_back(row.subject)
        return onward(row)

    bench = RunnerBench(monkeypatch, frozen_in)
    bench.run(work_row(state="deny"))
    assert [row.state for row in bench.taken] == ["deny"]


def test_act_of_an_older_term_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen within a step, right before an act: that the heart beats again does not make the lease ours."""
    said: list[bool] = []

    def frozen_in(row: WorkRow) -> Step:
        said.append(bench.may_act())
        bench.leases.late_and_back()
        said.append(bench.may_act())
        return onward(row)

    bench = RunnerBench(monkeypatch, frozen_in)
    bench.run(work_row(state="purge"))
    assert said == [True, False]


def test_late_heartbeat_costs_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """No act was begun while it was overdue, and the row is still ours: it is decided again, and not left behind."""
    late = [True]

    def overdue(row: WorkRow) -> Step:
        if late:
            late.clear()
            bench.leases.late_and_back()
            raise LostLeaseError("no sign of life could be given")
        return onward(row)

    bench = RunnerBench(monkeypatch, overdue)
    bench.run(work_row(state="purge"))
    assert (len(bench.taken), bench.moves) == (2, [("watch", False)])

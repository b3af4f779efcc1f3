"""One leased row, step after step, and every way in which that can go wrong."""

from __future__ import annotations

import pytest

from receiver.domain.errors import ConflictError, LostLeaseError, ReceiverError, StoreUnavailableError
from receiver.domain.moves import move
from receiver.domain.outcome import Outcome
from receiver.domain.rows import WorkRow
from receiver.domain.status import Track
from receiver.engine.runner import CONFLICTS_IN_A_ROW
from receiver.pipeline import Step
from tests.doubles.case_rows import work_row
from tests.doubles.runner_bench import Impatient, RunnerBench, onward


def test_steps_follow_while_lease_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward)
    bench.run(work_row(state="deny"))
    assert bench.moves == [("block", True), ("purge", True), ("watch", False)]
    assert [row.state for row in bench.taken] == ["deny", "block", "purge"]


def test_rows_leased_meanwhile_are_dispatched(monkeypatch: pytest.MonkeyPatch) -> None:
    more = work_row(subject="case-2")
    bench = RunnerBench(monkeypatch, lambda row: Step(outcome=Outcome(work=move(row, "resolved")), then=(more,)))
    bench.run(work_row(Track.RESOLVE, "resolve"))
    assert bench.dispatched == [(more, 0)]


def test_nothing_is_dispatched_when_commit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(
        monkeypatch,
        lambda row: Step(outcome=Outcome(work=move(row, "resolved")), then=(work_row(),)),
        LostLeaseError("gone"),
    )
    bench.run(work_row(Track.RESOLVE, "resolve"))
    assert not bench.dispatched
    assert not bench.ledger.written


def test_lost_lease_drops_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward, LostLeaseError("taken over"))
    bench.run(work_row(state="deny"))
    assert (len(bench.taken), bench.ledger.written) == (1, [])


def test_lease_lost_before_the_act_stops_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(row: WorkRow) -> Step:
        raise LostLeaseError("another worker holds this row now")

    bench = RunnerBench(monkeypatch, lost)
    bench.run(work_row())
    assert bench.ledger.written == []


def test_conflict_decides_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward, ConflictError("changed"), ConflictError("changed"))
    bench.run(work_row(state="purge"))
    assert (len(bench.taken), bench.moves) == (3, [("watch", False)])


def test_endless_conflict_calls_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward, *[ConflictError("x")] * (CONFLICTS_IN_A_ROW + 1), stopping=Impatient())
    bench.run(work_row(state="purge"))
    assert bench.moves == [("stuck", False)]
    assert "same conflict" in bench.ledger.written[0].pages[0].text


def test_outage_before_a_conflict_is_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    away = [StoreUnavailableError("away")] * (CONFLICTS_IN_A_ROW + 5)
    bench = RunnerBench(monkeypatch, onward, *away, ConflictError("once"))
    bench.run(work_row(state="purge"))
    assert bench.moves == [("watch", False)]


def test_store_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward, StoreUnavailableError("away"), StoreUnavailableError("away"))
    bench.run(work_row(state="purge"))
    assert bench.moves == [("watch", False)]


def test_store_away_at_the_end_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward, StoreUnavailableError("away"))
    bench.stopping.set()
    bench.run(work_row(state="purge"))
    assert (len(bench.taken), bench.ledger.written) == (1, [])


@pytest.mark.parametrize(("track", "wakes"), [(Track.EXPOSURE, 1), (Track.EVIDENCE, 0), (Track.DELIVER, 0)])
def test_crashing_step_is_stuck_and_paged(monkeypatch: pytest.MonkeyPatch, track: Track, wakes: int) -> None:
    def broken(row: WorkRow) -> Step:
        raise RuntimeError("https://secret.example/colour-field.jpg")

    bench = RunnerBench(monkeypatch, broken)
    bench.run(work_row(track, "purge"))
    (outcome,) = bench.ledger.written
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.stuck_from) == ("stuck", "purge")
    assert [p.kind for p in outcome.pages] == [f"{track.value}.stuck"]
    assert "secret" not in outcome.pages[0].text
    assert len(outcome.wakes) == wakes


def test_crash_while_stuck_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(row: WorkRow) -> Step:
        raise RuntimeError

    bench = RunnerBench(monkeypatch, broken)
    bench.run(work_row(state="stuck", stuck_from="purge"))
    assert not bench.ledger.written[0].wakes


def test_trace_names_no_value(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(row: WorkRow) -> Step:
        raise ValueError("https://secret.example/colour-field.jpg")

    RunnerBench(monkeypatch, broken).run(work_row())
    assert "secret.example/colour-field.jpg" not in "".join(
        line for line in capsys.readouterr() if "raise ValueError" not in line
    )


def test_unwritable_outcome_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, onward, ReceiverError("no column can hold this"))
    bench.run(work_row(state="purge"))
    assert bench.moves == [("stuck", False)]


def test_step_must_move_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(monkeypatch, lambda _row: Step(outcome=Outcome()))
    bench.run(work_row(state="purge"))
    assert bench.moves == [("stuck", False)]


@pytest.mark.parametrize("error", [LostLeaseError("gone"), ReceiverError("odd")])
def test_stuck_row_of_another_is_left(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(row: WorkRow) -> Step:
        raise RuntimeError

    bench = RunnerBench(monkeypatch, broken, error)
    bench.run(work_row())
    assert bench.ledger.written == []


def test_stuck_is_written_when_store_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(row: WorkRow) -> Step:
        raise RuntimeError

    bench = RunnerBench(monkeypatch, broken, StoreUnavailableError("away"), StoreUnavailableError("away"))
    bench.run(work_row())
    assert bench.moves == [("stuck", False)]

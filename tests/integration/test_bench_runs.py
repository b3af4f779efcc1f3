"""The bench measures what it says: its quick runs end, and their figures are whole."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from receiver.domain.clock import SystemClock
from receiver.domain.status import Track
from receiver.ledger.checkpoint import Signer
from receiver.ledger.copies import CopySet
from receiver.ledger.sequencer import Sequencer
from receiver.store import open_store
from tests.bench import gate_growth, ledger_size, page, seal_speed, show, with_growth
from tests.bench.figures import BenchError, Breakdown, Figure, Measured, Options, median, quantile
from tests.bench.grown import grow
from tests.bench.machine import facts
from tests.doubles.databases import Database
from tests.doubles.store_rows import case_outcome, notice_outcome


class FewOptions(Options):
    """Never more than a thousand of anything."""

    def count(self, quick: int, full: int) -> int:
        return min(super().count(quick, full), 1_000)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(quick=True, folder=tmp_path, cache=tmp_path)


def assert_whole(measured: Measured, goal: str) -> None:
    """Every figure is of this goal and says what it wants and whether that was reached."""
    assert measured.figures
    for figure in measured.figures:
        assert figure.goal == goal
        assert figure.name
        assert figure.unit
        assert figure.wanted
        assert figure.reached in (True, False)
    assert all(math.isfinite(row[1]) for breakdown in measured.breakdowns for row in breakdown.rows)


def test_sealing_is_measured_whole(options: Options) -> None:
    measured = seal_speed.measure(options)
    assert_whole(measured, "P4")
    speed, memory = measured.figures
    assert speed.value > 0
    assert speed.ratio is not None
    assert speed.ratio > 0
    assert 0 <= memory.value < 64
    assert memory.reached


def test_ledger_is_measured_whole(tmp_path: Path) -> None:
    measured = ledger_size.measure(FewOptions(quick=True, folder=tmp_path, cache=tmp_path))
    assert_whole(measured, "P8")
    assert {figure.unit for figure in measured.figures} == {"%", "s", "ms"}


def test_gate_growth_is_measured(options: Options) -> None:
    figure = gate_growth.measure(options)
    assert_whole(Measured(figures=[figure]), "P5")
    assert figure.beside_value is not None
    # The median of pairs, so it is near the quotient of the two medians and not the same.
    assert figure.ratio is not None
    assert figure.reached == (figure.ratio <= gate_growth.WANTED)


def test_every_goal_has_its_command() -> None:
    from tests.bench.__main__ import GOALS  # noqa: PLC0415 - it makes no folder by being imported

    assert list(GOALS) == ["P1", "P2", "P3", "P4", "P5", "P8", "takeover"]
    assert all(callable(measure) for measure in GOALS.values())


def test_table_and_json_say_the_same(tmp_path: Path) -> None:
    figure = Figure(
        goal="P0",
        name="speed of nothing",
        value=1234.5,
        unit="1/s",
        wanted="≥ 1",
        ratio=0.5,
        reached=True,
        notes=("n",),
    )
    breakdown = Breakdown(goal="P0", title="where it goes", columns=("part", "ms"), rows=[("one", 2.0)])
    measured, machine = Measured(figures=[figure], breakdowns=[breakdown]), facts(tmp_path, fsync_seconds=0.05)
    assert machine["fsyncs_per_second"] > 0
    assert machine["cores"] >= 1
    console = Console(width=200)
    with console.capture() as captured:
        show.show(console, measured, machine)
    for word in ("speed of nothing", "1,234", "yes", "where it goes", str(machine["fsyncs_per_second"])):
        assert word in captured.get()
    show.write_json(tmp_path / "deep" / "bench.json", show.as_json(measured, machine, quick=True))
    value = json.loads((tmp_path / "deep" / "bench.json").read_text())
    assert value["schema"] == show.SCHEMA
    assert value["quick"] is True
    assert value["figures"][0]["value"] == 1234.5
    assert value["breakdowns"][0]["rows"] == [["one", 2.0]]
    assert value["machine"]["sqlite"] == machine["sqlite"]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)])
def test_quantiles_are_values_that_were_seen(share: float, expected: float) -> None:
    assert quantile([float(n) for n in range(100, 0, -1)], share) == expected


@pytest.mark.parametrize("measure", [median, lambda values: quantile(values, 0.5)])
def test_nothing_measured_is_an_error(measure: Callable[..., object]) -> None:
    with pytest.raises(BenchError, match="nothing was measured"):
        measure([])


def test_grown_database_still_works(sqlite_database: Database, tmp_path: Path) -> None:
    """Clones have their rows and numbers, the sequencer can go on behind them, and real rows still open."""
    store = sqlite_database.open()
    outcome, _, (item,) = notice_outcome()
    made, case = case_outcome(item)
    assert store.commit([outcome])[0].error is None
    assert store.commit([made])[0].error is None
    store.close()
    template = Path(sqlite_database.url.removeprefix("sqlite:///"))
    with_growth._settle(template)
    grow(template, tmp_path / "grown.db", 300)
    grown = open_store(f"sqlite:///{tmp_path}/grown.db", data_key=sqlite_database.data_key, data_dir=tmp_path)
    try:
        assert grown.load_case(case).case.id == case
        assert grown.ledger_size() == 300
        signer = Signer("bench.example/ledger", Ed25519PrivateKey.generate())
        assert Sequencer(grown, signer, CopySet([]), SystemClock()).run_once() == 1
        assert grown.ledger_size() == 301
        worker = grown.register_worker("n", "s", "b", 1, "")
        due = [grown.claim(worker, Track.EXPOSURE, priority, 10) for priority in range(10)]
        assert [row.subject for rows in due for row in rows] == [case]
    finally:
        grown.close()


def test_page_shows_the_kept_figures() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_figures(text, json.loads(page.KEPT.read_text(encoding="utf-8"))) == text


def test_quick_figures_reach_no_page(options: Options) -> None:
    run = json.loads(show.as_json(Measured(), facts(options.folder, fsync_seconds=0.01), quick=True))
    with pytest.raises(ValueError, match="quick"):
        page.joined([run])


def test_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        page.with_figures("# Benchmarks\n", {"machines": [], "figures": [], "breakdowns": []})

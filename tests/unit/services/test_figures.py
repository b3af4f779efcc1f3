"""What Prometheus is told: names, labels, and counters that never fall."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from receiver.domain.figures import Count
from receiver.domain.outcome import Outcome, Page
from receiver.services.figures import COUNTERS, GAUGES, TIME_TO_DISABLED, Figures
from tests.doubles.make_world import make_world
from tests.doubles.world import World

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"
WEB = (
    Count(name="requests_taken", labels={"what": "notice", "repeated": "false"}, value=3.0),
    Count(name="requests_refused", labels={"what": "notice", "status": "401", "reason": "signature"}, value=2.0),
    Count(name="not.a.counter", labels={}, value=9.0),
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def figures(world: World) -> Figures:
    return Figures(reads=world.db, shared=lambda: WEB)


def sample(figures: Figures, name: str, **labels: str) -> float:
    families = list(text_string_to_metric_families(figures.text().decode()))
    (value,) = [s.value for f in families for s in f.samples if s.name == name and s.labels == labels]
    return value


def test_time_to_disabled_is_a_histogram(world: World, figures: Figures) -> None:
    figures.text()
    world.notify(world.put("/a.txt", b"noise"))
    world.run()
    labels = {"issuer": "iwf", "category": "csam", "adapter": "www"}
    name = f"takedown_{TIME_TO_DISABLED}"
    assert sample(figures, f"{name}_count", **labels) == 1
    assert sample(figures, f"{name}_bucket", le="+Inf", **labels) == 1
    assert sample(figures, f"{name}_bucket", le="60.0", **labels) == 1
    assert 0 <= sample(figures, f"{name}_sum", **labels) < 60
    assert sample(figures, "takedown_items_told_total", issuer="iwf", status="disabled") == 1


def test_seals_are_counted_once(world: World, figures: Figures) -> None:
    world.notify(world.put("/a.txt", b"x" * 1000))
    world.run()
    for _ in range(2):
        assert sample(figures, "takedown_seals_total", adapter="www") == 1
        assert sample(figures, "takedown_sealed_bytes_total", adapter="www") == 1000


def test_what_happened_before_is_not_counted(world: World) -> None:
    world.notify(world.put("/a.txt", b"noise"))
    world.run()
    later = Figures(reads=world.db)
    later._begun_at += 3_600_000_000
    assert "takedown_items_told_total{" not in later.text().decode()


def test_counts_of_the_public_side_are_added(figures: Figures) -> None:
    told = {"what": "notice", "status": "401", "reason": "signature"}
    assert sample(figures, "takedown_requests_refused_total", **told) == 2
    assert "not.a.counter" not in figures.text().decode()


def test_pages_are_told_by_kind(world: World, figures: Figures) -> None:
    pages = (Page(kind="ledger.copy", subject="a", text="t"), Page(kind="ledger.copy", subject="b", text="t"))
    world.commit(Outcome(pages=pages))
    assert sample(figures, "takedown_pages_open", kind="ledger.copy") == 2
    assert not [name for name in told_names(figures) if "page" in name and name != "takedown_pages_open"]


def test_sweeps_of_issuers_are_told(world: World, figures: Figures) -> None:
    world.db.sweep_done("keys:iwf")
    assert sample(figures, "takedown_sweep_age_seconds", sweep="keys:iwf") == 0


def test_rows_that_fail_are_told(world: World, figures: Figures) -> None:
    world.vault.broken = OSError("no space")
    world.db.register_worker("n", "worker-1", "b", 1, "x")
    assert sample(figures, "takedown_attempts", track="evidence") == 0
    assert sample(figures, "takedown_processes_alive", part="worker") >= 1
    assert sample(figures, "takedown_processes_alive", part="web") == 0


def told_names(figures: Figures) -> dict[str, str]:
    return {family.name: family.type for family in figures.collect()}


def test_names_follow_the_conventions(figures: Figures) -> None:
    found = told_names(figures)
    assert all(re.fullmatch(r"takedown_[a-z_]+", name) for name in found)
    assert not [name for name in found if re.search(r"_(ms|minutes|hours|mib|kb|count|sum|bucket)$", name)]
    counters = {name for name, kind in found.items() if kind == "counter"}
    assert counters == {f"takedown_{name}" for name in COUNTERS}
    assert found[f"takedown_{TIME_TO_DISABLED}"] == "histogram"


def test_labels_are_of_few_values() -> None:
    labels = {label for _, label in GAUGES.values() if label}
    assert labels | {word for _, words in COUNTERS.values() for word in words} == {
        "track", "kind", "sweep", "part", "what", "repeated", "status", "reason", "issuer", "adapter",
    }  # fmt: skip


def test_every_metric_has_a_row_in_the_document() -> None:
    rows = re.findall(r"^\| `(takedown_\w+)", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    names = {f"takedown_{name}" for name in GAUGES} | {f"takedown_{name}_total" for name in COUNTERS}
    assert set(rows) == names | {f"takedown_{TIME_TO_DISABLED}"}


def ruled() -> list[str]:
    """What the alarm rules of the document ask."""
    (rules,) = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return re.findall(r"expr: (.+)$", rules, re.MULTILINE)


def test_rules_ask_for_metrics_that_are_told() -> None:
    asked = {name for rule in ruled() for name in re.findall(r"takedown_\w+", rule)}
    assert asked
    assert asked <= {f"takedown_{name}" for name in GAUGES}


def test_a_quiet_receiver_is_not_absent(figures: Figures) -> None:
    absent = {name for rule in ruled() for name in re.findall(r"absent\((\w+)\)", rule)}
    assert absent
    assert absent <= {sample.name for family in figures.collect() for sample in family.samples}


def test_more_than_one_answer_holds_is_counted(world: World, figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.store.figures._AT_ONCE", 3)
    figures.text()
    for name in range(5):
        world.notify(world.put(f"/{name}.txt", b"noise %d" % name))
    world.run()
    assert sample(figures, "takedown_items_told_total", issuer="iwf", status="disabled") == 5
    assert sample(figures, "takedown_seals_total", adapter="www") == 5

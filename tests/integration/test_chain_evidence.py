"""The evidence of a whole chain: sealed, held, kept alive, removed, or said why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adapters.contract import Observation, Ref
from adapters.memory.storage import MemoryStorage
from receiver.domain.outcome import Insert, Outcome, Table
from receiver.domain.status import PRIORITY, Track
from receiver.store import SqlStore
from tests.doubles.make_world import make_world
from tests.doubles.world import World
from tests.integration.chain_steps import BODY, down


def preserve_for_an_hour(world: World) -> tuple[str, str]:
    """URL and notice of what is to be sealed and left up for so long."""
    url = world.put("/a.jpg", BODY)
    notice = world.notify(
        url,
        handling={"act": "preserve_only", "police_reference": "P-1"},
        deadline_at=int((world.clock.now().timestamp() + 3600) * 1e6),
    )
    world.run()
    return url, notice


def test_preserve_only_seals_and_leaves_up(world: World) -> None:
    url, notice = preserve_for_an_hour(world)
    assert world.statuses(notice) == ["preserved_live"]
    assert world.public_get(url) == BODY
    assert BODY in world.vault.sealed.values()
    world.direct(notice, "proceed")
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.public_get(url) is None


def test_nothing_to_preserve_is_told_unavailable(world: World) -> None:
    handling = {"act": "preserve_only", "police_reference": "P-1"}
    ends = int((world.clock.now().timestamp() + 3600) * 1e6)
    notice = world.notify("https://img.example.net/gone.jpg", handling=handling, deadline_at=ends)
    world.run()
    assert world.told(notice) == [(2, "unavailable")]
    url = world.put("/a.jpg", BODY)
    world.public_get(url)
    world.memory.delete_as_customer(b"acme/a.jpg")
    cached = world.notify(url, handling=handling, deadline_at=ends)
    world.run()
    assert world.told(cached) == []
    assert "holds nothing" in (world.case_of(cached).evidence.last_error or "")
    world.later(hours=2)
    world.run()
    assert world.told(cached) == [(2, "disabled")]
    world.later(minutes=2)
    again = world.notify("https://img.example.net/gone.jpg")
    world.run()
    assert world.told(again) == [(2, "unavailable")]


def test_preserve_only_ends_at_its_deadline(world: World) -> None:
    _, notice = preserve_for_an_hour(world)
    world.later(hours=2)
    world.run()
    assert world.statuses(notice) == ["disabled"]


def test_hold_is_told_and_bars_removal(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    world.direct(notice, "hold", reference="P-9")
    world.run()
    assert world.events(notice)[-1].data["hold"] is True
    world.later(days=2)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    world.direct(notice, "release_hold")
    world.run()
    world.later(days=1)
    world.run()
    assert world.statuses(notice) == ["removed"]


def test_people_are_asked_when_a_hold_ends(world: World) -> None:
    _, notice = down(world)
    world.direct(notice, "hold", until_at=int((world.clock.now().timestamp() + 600) * 1e6))
    world.direct(notice, "withdraw")
    world.run()
    world.later(minutes=11)
    world.run()
    assert [d.kind for d in world.db.list_decisions("asked", limit=10)] == ["release"]
    world.decide("release", case=world.case_of(notice).case.id)
    world.run()
    assert world.statuses(notice) == ["restored"]


def test_copy_is_removed_when_due(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    assert world.memory.removed == {}
    world.later(days=1, minutes=5)
    world.run()
    assert world.statuses(notice) == ["removed"]
    assert world.case_of(notice).evidence.state == "vaulted"
    assert len(world.memory.removed) == 1
    removed = world.events(notice)[-1].data
    assert removed["iccam"] is None  # given once, with `disabled`


def test_block_only_is_never_removed(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=0)
    _, notice = down(world, handling={"act": "block_only"})
    world.later(days=400)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.memory.removed == {}


def test_wrong_hash_keeps_the_copy(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=0)
    _, notice = down(world, details={"hashes": {"sha256": "00" * 32}})
    world.later(days=1)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.case_of(notice).seals[0].hash_match is False
    assert [p.kind for p in world.db.open_pages(10)] == ["evidence.hash_mismatch"]


def test_pause_stops_removals_too(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    pause = Insert(table=Table.PAUSE, values={"scope": "all", "actor": "ann", "since_at": 1})
    world.commit(Outcome(changes=(pause,)))
    world.later(days=3)
    world.run()
    assert world.memory.removed == {}
    assert world.statuses(notice) == ["disabled"]


def test_removal_waits_while_people_decide(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    world.decide("release", case=world.case_of(notice).case.id, state="asked")
    world.later(days=3)
    world.run()
    assert world.memory.removed == {}


def test_bad_seal_bars_the_removal(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    world.vault.sealed = dict.fromkeys(world.vault.sealed, b"other")
    world.later(days=3)
    world.run()
    assert world.memory.removed == {}
    assert world.case_of(notice).evidence.state == "stuck"
    assert "evidence.stuck" in [p.kind for p in world.db.open_pages(10)]


def test_in_place_makes_no_copy(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, preserve="in_place", remove_after_days=0)
    _, notice = down(world)
    world.later(days=3)
    world.run()
    assert world.vault.sealed == {}
    assert world.memory.removed == {}
    assert world.case_of(notice).evidence.state == "sealed"


def test_preserving_a_page_needs_more_to_go_on(world: World) -> None:
    notice = world.notify(
        "https://gate.example.net/gallery.php?id=7", handling={"act": "preserve_only", "police_reference": "P-1"}
    )
    world.run()
    assert world.reasons(notice) == ["nothing_to_preserve"]
    assert not world.gate.refuses("gate.example.net", b"/gallery.php?id=7")


def test_preserving_never_denies_meanwhile(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.memory.link_as_customer(b"acme/a.jpg", b"other/b.jpg")
    notice = world.notify(url, handling={"act": "preserve_only", "police_reference": "P-1"})
    world.run()
    assert world.reasons(notice) == ["shared"]
    assert world.public_get(url) == BODY


def test_joiner_does_not_hear_removed_first(tmp_path: Path, store: SqlStore) -> None:
    """Somebody joins between the intent to remove and the step that does it."""
    world = make_world(tmp_path, store, remove_after_days=1)
    url, first = down(world)
    world.later(days=1, minutes=5)
    (sealed,) = world.db.claim(world.worker, Track.EVIDENCE, PRIORITY[Track.EVIDENCE], 1)
    (remove,) = world.step(sealed)
    assert remove.state == "remove"
    joined = world.notify(url, issuer="ncmec", handling={"act": "block_only"})
    (resolve,) = world.db.claim(world.worker, Track.RESOLVE, PRIORITY[Track.RESOLVE], 1)
    rows = [*world.step(resolve), remove]
    while rows:
        rows = [*world.step(rows.pop()), *rows]
    world.run()
    assert [status for _, status in world.told(first)] == ["disabled", "removed"]
    assert [status for _, status in world.told(joined)][:1] == ["disabled"]


def test_preserving_what_is_down_is_not_told_preserved_live(world: World) -> None:
    url, first = down(world)
    second = world.notify(url, issuer="ncmec", handling={"act": "preserve_only", "police_reference": "P-1"})
    world.run()
    world.direct(first, "withdraw")
    world.run()
    assert "preserved_live" not in [status for _, status in world.told(second)]
    assert world.public_get(url) is None


def test_earlier_round_is_named_as_a_loss(world: World) -> None:
    url, notice = down(world)
    world.memory.write_as_customer(b"acme/public/a.jpg", b"second field")
    world.later(hours=2)
    world.run()
    world.decide("release", case=world.case_of(notice).case.id)
    world.run()
    assert world.public_get(url) == b"second field"
    assert world.events(notice)[-1].data["residual"] == ["earlier_version_kept"]


def test_changed_after_sealing_is_sealed_again(tmp_path: Path, store: SqlStore) -> None:
    """A store that cannot freeze: what is removed in the end is what was sealed, never something else."""
    world = make_world(tmp_path, store, remove_after_days=1)
    _, notice = down(world)
    (block,) = world.memory.blocks.values()
    block.taken.frozen = False
    world.memory._write(block.taken, b"rewritten")
    world.later(days=2)
    world.run()
    assert world.memory.removed == {}
    assert [page.kind for page in world.db.open_pages(10)] == ["evidence.changed"]
    world.later(hours=2)
    world.run()
    assert set(world.vault.sealed.values()) >= {BODY, b"rewritten"}
    assert world.statuses(notice) == ["disabled"]
    world.later(hours=2)
    world.run()
    assert len(world.memory.removed) == 1
    assert world.told(notice)[-1][1] == "removed"


def test_too_large_stays_blocked_unsealed(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, max_seal_bytes=len(BODY) - 1)
    _, notice = down(world)
    assert world.vault.sealed == {}
    assert world.statuses(notice) == ["disabled"]
    case = world.case_of(notice)
    assert case.evidence.state == "stuck"
    assert "max_seal_gib" in (case.evidence.last_error or "")
    world.rebuild(max_seal_bytes=len(BODY))
    world.decide("retry", case=case.case.id)
    world.run()
    assert BODY in world.vault.sealed.values()


class GrowingStore(MemoryStorage):
    """What it holds was one byte long when it was looked at."""

    def _observe(self, ref: Ref) -> Observation:
        seen = super()._observe(ref)
        return replace(seen, versions=tuple(replace(version, size_bytes=1) for version in seen.versions))


def test_growing_file_is_bounded_as_it_is_read(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, max_seal_bytes=len(BODY) - 1)
    world.store = GrowingStore()
    world.rebuild()
    _, notice = down(world)
    assert world.vault.sealed == {}
    assert world.case_of(notice).evidence.state == "stuck"

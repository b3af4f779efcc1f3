"""Acts are written down before they are done, in the order in which they must be done."""

from __future__ import annotations

from typing import Any

from adapters.contract import DenyTarget, Retryable
from receiver.domain.outcome import Update
from receiver.domain.status import Track
from receiver.quarantine.journal import (
    Done,
    allow_intents,
    deny_intents,
    deny_targets,
    ended,
    failed,
    intend,
    last_block,
    live_denies,
    pending,
    purge_intents,
    undone,
)
from tests.doubles.case_rows import NOW, TARGET, URL, act_row, case_view, url_row

BEGUN: dict[str, Any] = {"receipt": None, "ended_at": None, "result": None}


def test_intent_names_a_new_operation() -> None:
    first, second = (intend(case_view(), "block", "www", {"a": 1}, now=NOW) for _ in range(2))
    assert first.values["op_id"] != second.values["op_id"]
    assert (first.values["case"], first.values["begun_at"], first.values["intent"]) == ("case-1", NOW, {"a": 1})
    assert "receipt" not in first.values


def test_pending_acts_come_in_order() -> None:
    kinds = ("purge", "allow", "odd", "deny", "block", "unblock")
    view = case_view(acts=(*(act_row(kind, **BEGUN) for kind in kinds), act_row("deny", "done-1")))
    assert [a.kind for a in pending(view, Track.EXPOSURE)] == ["unblock", "deny", "block", "allow", "purge", "odd"]
    assert pending(view, Track.EVIDENCE) == ()


def test_receipt_ends_an_act() -> None:
    update = ended(Done(act=act_row(**BEGUN), receipt={"op_id": "op-block"}), now=NOW)
    assert update.values == {"receipt": {"op_id": "op-block"}, "result": "done", "ended_at": NOW}
    later = ended(Done(act=act_row("purge", **BEGUN), receipt={}, pending=True), now=NOW)
    assert later.values == {"receipt": {}, "result": "pending"}


def test_failed_act_keeps_its_error() -> None:
    update = failed(act_row(**BEGUN), Retryable("away"), now=NOW)
    assert update.values["receipt"] == {"error": "retryable", "words": "away"}
    assert (update.values["result"], update.values["ended_at"]) == ("failed", NOW)


def test_undone_acts_may_be_gone() -> None:
    (update,) = undone([act_row()])
    assert isinstance(update, Update)
    assert (update.values, update.optional) == ({"result": "undone"}, True)


def test_last_block_is_the_live_one() -> None:
    first, second = act_row(op_id="b1"), act_row(op_id="b2")
    assert last_block(case_view(acts=(first, second))) == second
    assert last_block(case_view(acts=(first, act_row(op_id="b3", result="failed")))) == first
    assert last_block(case_view(acts=(act_row(result="undone"), act_row("deny")))) is None


def test_only_uncovered_urls_are_denied() -> None:
    other = url_row(url=URL + "?v=1")
    bare = url_row(url="https://nogate.example.net/", way={"deny": TARGET})
    view = case_view(urls=(url_row(), other, bare), acts=(act_row("deny"),))
    (one,) = deny_intents(view, now=NOW)
    assert one.values["intent"]["urls"] == [other.url]
    (both,) = deny_intents(view, now=NOW, again=True)
    assert both.values["intent"]["urls"] == [URL, other.url]
    taken_back = case_view(acts=(act_row("deny", result="undone"),))
    assert len(deny_intents(taken_back, now=NOW)) == 1
    assert live_denies(taken_back) == ()


def test_targets_survive_the_journal() -> None:
    (target,) = deny_targets(act_row("deny"))
    assert isinstance(target, DenyTarget)
    assert target.path == b"/a.jpg"


def test_allow_needs_a_receipt() -> None:
    view = case_view(acts=(act_row("deny"), act_row("deny", "d2", **BEGUN), act_row("deny", "d3", result="undone")))
    (allow,) = allow_intents(view, now=NOW)
    assert allow.values["intent"]["deny"] == "op-deny"


def test_one_purge_for_each_cache() -> None:
    ways = [{**url_row().way, "caches": caches} for caches in (["a", "b"], ["b"], [])]
    view = case_view(urls=tuple(url_row(url=f"{URL}?{n}", way=way) for n, way in enumerate(ways)))
    intents = {i.values["target"]: i.values["intent"]["urls"] for i in purge_intents(view, now=NOW)}
    assert intents == {"a": [f"{URL}?0"], "b": [f"{URL}?0", f"{URL}?1"]}

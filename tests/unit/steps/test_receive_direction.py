from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.domain.outcome import NewEvent, Outcome, Table, Update
from receiver.domain.status import ItemStatus, Track
from receiver.steps.read_status import read_status
from receiver.steps.receive import receive_notice
from receiver.steps.receive_direction import receive_direction
from receiver.steps.refusals import RefusedError
from tests.doubles.web_side import WebSide, make_web_side

URLS = ["https://img.example.net/1", "https://img.example.net/2"]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebSide]:
    side = make_web_side(tmp_path)
    receive_notice(side.hotline.notice(urls=URLS), side.ports)
    yield side
    side.store.close()


def notice_row(web: WebSide) -> str:
    notice = web.store.find_notice("hotline", "N-1")
    assert notice is not None
    return notice.id


def direct(web: WebSide, **members: Any) -> Any:
    return receive_direction(web.hotline.direction("N-1", **members), "N-1", web.ports)


def refused(web: WebSide, **members: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        direct(web, **members)
    return caught.value


def set_status(web: WebSide, item_id: str, status: str) -> None:
    where = {"id": next(i.id for i in web.store.load_notice(notice_row(web)).items if i.item_id == item_id)}
    web.committer.submit(Outcome(changes=(Update(table=Table.ITEM, where=where, values={"status": status}),)))


def test_direction_is_recorded_for_the_worker(web: WebSide) -> None:
    taken = direct(web, items=["1"], reason="sent in error", until="2027-01-01T00:00:00Z", police_reference="P-1")
    (row,) = web.store.load_notice(notice_row(web)).directions
    assert (row.kind, tuple(row.items or ()), row.reason, row.reference) == ("withdraw", ("1",), "sent in error", "P-1")
    assert (row.until_at, row.applied_at) == (1798761600_000000, None)
    assert taken.receipt["schema"] == "takedown-direction-receipt/1"
    assert taken.receipt["direction_id"] == "D-1"
    assert web.store.load_message(row.message_id).body


def test_direction_makes_resolve_due(web: WebSide) -> None:
    before = web.store.load_work(Track.RESOLVE, notice_row(web))
    direct(web)
    after = web.store.load_work(Track.RESOLVE, notice_row(web))
    assert before is not None
    assert after is not None
    assert after.nudges == before.nudges + 1


def test_same_direction_gets_same_answer(web: WebSide) -> None:
    first, again = direct(web), direct(web)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.receipt == first.receipt
    assert web.rows("direction") == 1


def test_direction_id_with_other_content_is_422(web: WebSide) -> None:
    direct(web)
    assert refused(web, direction="hold").slug == "direction-id-reused"


def test_other_issuers_notice_is_404(web: WebSide) -> None:
    with pytest.raises(RefusedError) as caught:
        receive_direction(web.other.direction("N-1"), "N-1", web.ports)
    assert caught.value.status == 404
    assert web.rows("direction") == 0


def test_unknown_item_is_named_by_place(web: WebSide) -> None:
    found = refused(web, items=["1", "nine"])
    assert found.status == 422
    assert [fault.pointer for fault in found.errors] == ["/items/1"]


def test_proceed_needs_what_was_left_up(web: WebSide) -> None:
    assert refused(web, direction="proceed").slug == "direction-not-possible"
    set_status(web, "1", "preserved_live")
    assert refused(web, direction="proceed", items=["1", "2"]).slug == "direction-not-possible"
    assert direct(web, direction="proceed", direction_id="D-2").receipt["direction_id"] == "D-2"
    assert direct(web, direction="proceed", direction_id="D-3", items=["1"]).receipt["direction_id"] == "D-3"


@pytest.mark.parametrize("kind", ["withdraw", "hold"])
def test_nothing_left_to_direct_is_422(web: WebSide, kind: str) -> None:
    set_status(web, "1", "not_hosted")
    assert refused(web, direction=kind, items=["1"]).slug == "direction-not-possible"
    assert direct(web, direction=kind, direction_id="D-2").receipt["direction_id"] == "D-2"


@pytest.mark.parametrize("kind", ["release_hold", "allow_customer_notice"])
def test_other_kinds_are_taken(web: WebSide, kind: str) -> None:
    assert not direct(web, direction=kind).repeated


def test_refused_direction_is_entered(web: WebSide) -> None:
    refused(web, direction="proceed")
    kinds = [entry.kind for entry in web.store.entries_about("hotline", 10)]
    assert kinds == ["direction.refused"]


def test_direction_replayed_is_409(web: WebSide) -> None:
    request = web.hotline.direction("N-1")
    receive_direction(request, "N-1", web.ports)
    with pytest.raises(RefusedError) as caught:
        receive_direction(request, "N-1", web.ports)
    assert (caught.value.status, caught.value.slug) == (409, "already-recorded")


def test_status_tells_items_and_events(web: WebSide) -> None:
    path = "/v1/notices/N-1"
    body = read_status(web.hotline.request("GET", path), "N-1", web.ports).body
    assert [item["status"] for item in body["items"]] == ["received", "received"]
    assert [(event["sequence"], event["item_id"]) for event in body["events"]] == [(1, "1"), (2, "2")]
    assert body["undelivered"] == 0
    assert set(body["items"][0]) == {"item_id", "status", "public", "reason", "status_at", "residual", "hold"}


def test_status_tells_what_callbacks_told(web: WebSide) -> None:
    view = web.store.load_notice(notice_row(web))
    item = view.items[1]
    data = {
        "notice_id": "N-1",
        "item_id": "2",
        "status": "disabled",
        "residual": ["resource_not_identified"],
        "hold": True,
    }
    told = NewEvent(notice=item.notice, item=item.id, item_id="2", status=ItemStatus.DISABLED, data=data)
    web.committer.submit(Outcome(events=(told,)))
    set_status(web, "2", "disabled")
    body = read_status(web.hotline.request("GET", "/v1/notices/N-1"), "N-1", web.ports).body
    assert body["undelivered"] == 1
    assert body["events"][-1] == {**data, "sequence": 3}
    assert (body["items"][0]["residual"], body["items"][0]["hold"]) == ([], False)
    assert (body["items"][1]["public"], body["items"][1]["residual"]) == ("unreachable", ["resource_not_identified"])
    assert body["items"][1]["hold"]


def test_status_of_others_is_404(web: WebSide) -> None:
    with pytest.raises(RefusedError) as caught:
        read_status(web.other.request("GET", "/v1/notices/N-1"), "N-1", web.ports)
    assert caught.value.status == 404


def test_question_cannot_be_replayed(web: WebSide) -> None:
    request = web.hotline.request("GET", "/v1/notices/N-1")
    read_status(request, "N-1", web.ports)
    with pytest.raises(RefusedError) as caught:
        read_status(request, "N-1", web.ports)
    assert (caught.value.status, caught.value.slug) == (409, "already-answered")

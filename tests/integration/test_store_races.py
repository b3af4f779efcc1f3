"""Writers side by side, in threads and processes: no gap, no deadlock that stays."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from sqlalchemy.engine import make_url

from receiver.domain.errors import ConflictError
from receiver.domain.outcome import Insert, NewEvent, Outcome, Table, Update
from receiver.domain.status import ItemStatus
from receiver.store import SqlStore
from tests.doubles.databases import Database, PostgresServer
from tests.doubles.store_rows import AT, HOST, URL, case_outcome, commit, notice_outcome

ROOT = Path(__file__).parents[2]


def test_sequences_have_no_gaps_between_threads(store: SqlStore) -> None:
    outcome, notice, items = notice_outcome(items=3)
    commit(store, outcome)

    def tell(item: str) -> None:
        for number in range(15):
            event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.FAILED, data={"n": number})
            spoiled = Insert(table=Table.ITEM, values={"id": item, "notice": notice, "item_id": "1", "url": URL,
                                                       "host": HOST, "status": "failed", "status_at": 0})  # fmt: skip
            results = store.commit([Outcome(events=(event,)), Outcome(events=(event,), changes=(spoiled,))])
            assert [type(result.error) for result in results] == [type(None), ConflictError]

    threads = [threading.Thread(target=tell, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.sequence for event in store.events_of(notice)] == list(range(1, 3 + 45 + 1))


CHILD = """
import sys
from pathlib import Path
from receiver.domain.outcome import NewEvent, Outcome
from receiver.domain.status import ItemStatus
from receiver.store import open_store
url, key, folder, notice, item = sys.argv[1:]
store = open_store(url, data_key=bytes.fromhex(key), data_dir=Path(folder))
event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.FAILED, data={})
for _ in range(20):
    assert all(result.error is None for result in store.commit([Outcome(events=(event,))] * 2))
store.close()
"""


def test_sequences_have_no_gaps_between_processes(store: SqlStore, database: Database) -> None:
    outcome, notice, (item,) = notice_outcome()
    commit(store, outcome)
    words = [database.url, database.data_key.hex(), str(database.data_dir), notice, item]
    children = [subprocess.Popen([sys.executable, "-c", CHILD, *words], cwd=ROOT) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert [event.sequence for event in store.events_of(notice)] == list(range(1, 82))


def test_crossing_batches_do_not_deadlock(store: SqlStore) -> None:
    cases, notices, items = [], [], []
    for number in range(4):
        outcome, notice, (item,) = notice_outcome(f"N-{number}")
        made, case = case_outcome(item, locator=b"l%d" % number)
        commit(store, outcome.plus(made))
        cases.append(case)
        notices.append(notice)
        items.append(item)

    def bump(order: list[int]) -> None:
        for _ in range(15):
            told = [
                NewEvent(notice=notices[n], item=items[n], item_id="1", status=ItemStatus.FAILED, data={})
                for n in order
            ]
            commit(store, *(Outcome(bumps=(cases[n],), events=(event,)) for n, event in zip(order, told, strict=True)))

    threads = [threading.Thread(target=bump, args=(order,)) for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.load_case(case).case.revision for case in cases] == [45] * 4


def test_unforeseen_deadlock_is_tried_again(postgres_database: Database, postgres_server: PostgresServer) -> None:
    name = make_url(postgres_database.url).database
    postgres_server.run(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
    store = postgres_database.open()
    outcome, notice, _ = notice_outcome(items=2)
    commit(store, outcome)

    def change(order: list[str]) -> None:
        for number in range(30):
            rows = [{"notice": notice, "item_id": item_id} for item_id in order]
            changes = [Update(table=Table.ITEM, where=row, values={"status_at": AT + number}) for row in rows]
            commit(store, Outcome(changes=tuple(changes)))

    threads = [threading.Thread(target=change, args=(order,)) for order in (["1", "2"], ["2", "1"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {item.status_at for item in store.load_notice(notice).items} == {AT + 29}
    store.close()

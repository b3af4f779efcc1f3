"""Steps of the main path as outcomes, without the adapters that would take the time."""

from __future__ import annotations

from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, Outcome, Table, Update, WorkMove
from receiver.domain.status import Track
from receiver.store import SqlStore
from tests.bench.figures import BenchError
from tests.doubles.store_rows import AT, case_outcome

OWNER = "bench"
RECEIPT = {"op_id": "x" * 26, "changed": True, "undo": {"mode": 420, "name": "x" * 40}, "doors": []}


class Steps:
    """One leased case that goes on and on: each step ends one act, begins the next and moves the row (T3 to T5)."""

    def __init__(self, store: SqlStore) -> None:
        outcome, self._case = case_outcome(owner=OWNER, locator=new_id().encode())
        self._act = new_id()
        found = store.commit([outcome.plus(Outcome(changes=(self._begin(),)))])
        if found[0].error is not None:
            raise BenchError(f"no case could be made: {found[0].error}")

    def next(self) -> Outcome:
        ended = {"receipt": RECEIPT, "ended_at": AT, "result": "done"}
        end = Update(table=Table.ACT, where={"op_id": self._act}, values=ended)
        self._act = new_id()
        work = WorkMove(
            track=Track.EXPOSURE,
            subject=self._case,
            owner=OWNER,
            epoch=1,
            nudges=0,
            state="deny",
            due_at=AT,
            priority=0,
            keep=True,
        )
        seen = Update(table=Table.CASE, where={"id": self._case}, values={"residual": ()})
        return Outcome(work=work, changes=(end, self._begin(), seen))

    def _begin(self) -> Insert:
        intent = {"pins": [{"b64": "AAAA" * 8}], "op_id": self._act, "status": 404}
        values = {"op_id": self._act, "case": self._case, "track": "exposure", "kind": "block", "target": "www"}
        return Insert(table=Table.ACT, values={**values, "intent": intent, "begun_at": AT})

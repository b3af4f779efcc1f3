"""The people of a scenario: who call for another try where the work stopped for good."""

from __future__ import annotations

from receiver.domain.clock import to_micros
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, Outcome, Table, Wake
from receiver.domain.status import Evidence, Exposure, Track
from tests.faults.scenario_parts import Chain


def retry_what_is_stuck(chain: Chain) -> None:
    for line in chain.store.list_cases(state=None, issuer=None, after=None, limit=100):
        view = chain.store.load_case(line.case.id)
        if view.exposure.state == Exposure.STUCK or view.evidence.state == Evidence.STUCK:
            chain.places.say(f"STUCK {view.exposure.state} {view.evidence.state}")
            _retry(chain, view.case.id)


def _retry(chain: Chain, case: str) -> None:
    values = {
        "id": new_id(),
        "case": case,
        "item": None,
        "kind": "retry",
        "actor": "ann",
        "reason": "looked at it",
        "request_sha256": "",
        "state": "approved",
        "needs": 1,
        "approvals": ["ann"],
        "expires_at": None,
        "created_at": to_micros(chain.clock.now()),
    }
    change = Insert(table=Table.DECISION, values=values)
    chain.committer.submit(Outcome(changes=(change,), bumps=(case,), wakes=(Wake(track=Track.EXPOSURE, subject=case),)))

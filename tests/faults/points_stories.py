"""The stories in which processes die while all goes well: what issuers, customers and people do."""

from __future__ import annotations

from receiver.domain.web import Seen
from tests.faults.points_stage import Stage
from tests.faults.points_story import BODY, GATE_URL, PATH, POLICE, SECOND, URL, down, settled, story


@story(N_1=["disabled", "disabled", "not_hosted"], N_2=["disabled"])
def takedown(stage: Stage) -> None:
    stage.world.public_get(stage.put(PATH, BODY))
    stage.hand_in("N-1", URL, URL.replace("https", "http"), "https://elsewhere.example/x.jpg")
    stage.work()
    stage.hand_in("N-2", URL + "?v=2", issuer="ncmec")
    stage.work()
    stage.later(seconds=31)
    stage.work()


@story(N_1=["disabled"])
def gate_only(stage: Stage) -> None:
    stage.hand_in("N-1", GATE_URL)
    stage.work()


@story(N_1=["restored", "restored"], public=BODY, policy={"on_withdrawal": "auto"})
def withdraw(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL, URL + "?v=2")
    stage.work()
    stage.direct("N-1", "withdraw")
    stage.work()


@story(N_1=["disabled"])
def preserve_then_proceed(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL, handling=POLICE, deadline=stage.in_time(hours=1))
    stage.work()
    stage.direct("N-1", "proceed")
    stage.work()


@story(N_1=["removed"], policy={"remove_after_days": 1})
def removal(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL)
    stage.work()
    stage.later(days=1, hours=2)
    stage.work()


@story(N_1=["disabled"])
def reappearance(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL)
    stage.work()
    stage.put(PATH, SECOND)
    stage.later(hours=2)
    stage.work()


# --- people and issuers


@story(N_1=["restored"], public=BODY)
def release_by_two(stage: Stage) -> None:
    down(stage)
    stage.person("ann", "look", "N-1")
    stage.person("ann", "release", "N-1")
    stage.person("bob", "decline")
    stage.person("ann", "release", "N-1")
    stage.person("bob", "agree")
    stage.work()


@story(N_1=["disabled"])
def agreed_too_late(stage: Stage) -> None:
    down(stage)
    stage.person("ann", "release", "N-1")
    stage.later(days=8)
    stage.person("bob", "agree")
    stage.work()


@story(N_1=["disabled"], N_2=["refused"])
def review(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL, category="npi")
    stage.hand_in("N-2", stage.put("/public/b.jpg", SECOND), category="npi")
    stage.work()
    stage.person("ann", "approve", "N-1")
    stage.person("ann", "refuse", "N-2")
    stage.work()


@story(N_1=["disabled"])
def holds(stage: Stage) -> None:
    settled(stage)
    stage.direct("N-1", "hold", police_reference="P-2")
    stage.work()
    stage.direct("N-1", "release_hold")
    stage.work()
    stage.direct("N-1", "allow_customer_notice")
    stage.direct_again("N-1")
    stage.work()


@story(N_1=["restored"], public=SECOND, policy={"on_withdrawal": "one_person"})
def hold_outlives_withdrawal(stage: Stage) -> None:
    """Blocked again while only a hold stands; once it is lifted people are asked anew."""
    down(stage)
    stage.direct("N-1", "hold", police_reference="P-2")
    stage.direct("N-1", "withdraw")
    stage.work()
    stage.put(PATH, SECOND)
    stage.later(hours=2)
    stage.work()
    stage.direct("N-1", "release_hold")
    stage.work()
    for _ in range(2):
        # What was asked first speaks of a case that has changed since; they are asked again.
        stage.person("bob", "agree")
        stage.work()


@story(N_1=["review"])
def up_while_people_decide(stage: Stage) -> None:
    settled(stage)
    stage.direct("N-1", "withdraw")
    stage.work()
    stage.world.sees = Seen.UP
    stage.later(hours=2)
    stage.work()


@story(N_1=["withdrawn"], public=BODY)
def preserve_then_withdraw(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL, handling=POLICE, deadline=stage.in_time(hours=1))
    stage.work()
    stage.direct("N-1", "withdraw")
    stage.work()


@story(N_1=["preserved_live"], N_2=["preserved_live"], public=BODY)
def preserve_twice(stage: Stage) -> None:
    stage.put(PATH, BODY)
    ends = stage.in_time(hours=1)
    stage.hand_in("N-1", URL, handling=POLICE, deadline=ends)
    stage.work()
    stage.hand_in("N-2", URL, issuer="ncmec", handling=POLICE, deadline=ends)
    stage.work()


@story(N_1=["disabled"])
def sent_twice(stage: Stage) -> None:
    down(stage)
    stage.hand_in("N-1", URL)
    stage.hand_in("N-2", URL, category="other")
    stage.ask("N-1")
    stage.work()


@story(N_1=["disabled"])
def key_revoked(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL)
    stage.restart(revoked=("iwf",))
    stage.work()
    stage.restart(revoked=())
    stage.person("ann", "retry_notice", "N-1")
    stage.work()


@story(N_1=["disabled"])
def paused(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL)
    stage.person("bob", "pause", "issuer:iwf")
    stage.work()
    stage.person("bob", "resume", "issuer:iwf")
    stage.later(seconds=16)
    stage.work()
    stage.person("bob", "pause", "all")
    stage.later(hours=2)
    stage.work()
    stage.person("ann", "acknowledge", "all")
    stage.person("bob", "resume", "all")
    stage.later(seconds=16)
    stage.work()

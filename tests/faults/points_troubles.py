"""The stories in which processes die while a store, a gate, a cache, a vault or an issuer is in trouble."""

from __future__ import annotations

from adapters.contract import Changed, Denied, Unsupported
from receiver.domain.errors import VaultError
from receiver.domain.web import Seen
from tests.doubles.staff import PASSWORD
from tests.faults.points_stage import Stage
from tests.faults.points_story import BODY, PATH, POLICE, SECOND, URL, down, mended, settled, story


@story(N_1=["unavailable"])
def nothing_to_preserve(stage: Stage) -> None:
    stage.hand_in("N-1", URL, handling=POLICE, deadline=stage.in_time(hours=20))
    stage.world.sees = Seen.INCONCLUSIVE
    stage.work()
    stage.world.sees = None
    stage.later(minutes=20)
    stage.work()


@story(N_1=["disabled"])
def store_away(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.world.away.add("store")
    stage.hand_in("N-1", URL)
    stage.work()
    stage.world.away.clear()
    stage.later(minutes=15)
    stage.work()


@story(N_1=["disabled"])
def block_fails_for_a_while(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.world.raises["store.block"] = ConnectionError()
    stage.hand_in("N-1", URL)
    stage.work()
    mended(stage)


@story(N_1=["disabled"])
def block_finds_it_changed(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.world.raises["store.block"] = Changed("other bytes")
    stage.hand_in("N-1", URL)
    stage.work()
    mended(stage)


@story(N_1=["disabled"], N_2=["disabled"])
def block_is_stuck(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.world.raises["store.block"] = Denied("not ours")
    stage.hand_in("N-1", URL)
    stage.work()
    stage.hand_in("N-2", URL + "?v=2", issuer="ncmec")
    stage.work()
    stage.world.raises.clear()
    stage.person("ann", "retry", "N-1")
    stage.work()


@story(N_1=["disabled"])
def seal_is_stuck(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.world.raises["store.freeze"] = Denied("not ours")
    stage.hand_in("N-1", URL)
    stage.work()
    stage.world.raises.clear()
    stage.person("ann", "retry", "N-1")
    stage.work()


@story(N_1=["disabled"])
def seal_in_trouble(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.world.raises["store.freeze"] = ConnectionError()
    stage.hand_in("N-1", URL)
    stage.work()
    stage.world.raises = {"vault.seal_bytes": VaultError("full")}
    stage.later(minutes=15)
    stage.work()
    stage.world.raises = {"store.open": Changed("other bytes")}
    stage.later(minutes=15)
    stage.work()
    mended(stage)


@story(N_1=["disabled"], policy={"preserve": "in_place"})
def held_in_place(stage: Stage) -> None:
    down(stage)


@story(N_1=["removed"], policy={"remove_after_days": 1})
def removal_finds_it_changed(stage: Stage) -> None:
    down(stage)
    (block,) = stage.world.store.store.blocks.values()
    block.taken.frozen = False
    stage.world.store.store._write(block.taken, SECOND)
    stage.later(days=1, hours=2)
    stage.work()
    stage.later(days=2)
    stage.work()
    stage.later(days=1)
    stage.work()


@story(N_1=["removed"], policy={"remove_after_days": 1})
def removal_is_refused_as_changed(stage: Stage) -> None:
    down(stage)
    stage.world.raises["store.remove"] = Changed("other bytes")
    stage.later(days=1, hours=2)
    stage.work()
    stage.world.raises.clear()
    stage.person("ann", "retry", "N-1")
    stage.work()
    stage.later(days=1)
    stage.work()


@story(N_1=["disabled"], policy={"remove_after_days": 1})
def upload_after_removal(stage: Stage) -> None:
    down(stage)
    stage.later(days=1, hours=2)
    stage.work()
    stage.direct("N-1", "hold", police_reference="P-2")
    stage.work()
    stage.put(PATH, SECOND)
    stage.later(hours=2)
    stage.work()


@story(N_1=["unavailable"])
def absent(stage: Stage) -> None:
    stage.hand_in("N-1", URL)
    stage.work()


@story(N_1=["disabled"])
def absent_but_cached(stage: Stage) -> None:
    stage.world.public_get(stage.put(PATH, BODY))
    stage.world.store.store.delete_as_customer(f"acme{PATH}".encode())
    stage.hand_in("N-1", URL)
    stage.work()
    stage.later(minutes=15)
    stage.work()


@story(N_1=["withdrawn"], setup={"gates": False})
def withdrawn_before_anything(stage: Stage) -> None:
    stage.hand_in("N-1", URL)
    stage.order("resolve_alone")
    stage.world.away.add("store")
    stage.order("lose_track")
    stage.work()
    stage.direct("N-1", "withdraw")
    stage.work()


@story(N_1=["restored"], public=BODY, policy={"on_withdrawal": "auto"})
def gate_away(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.world.away.add("gate")
    stage.hand_in("N-1", URL)
    stage.work()
    stage.direct("N-1", "withdraw")
    stage.work()
    stage.world.away.clear()
    stage.later(minutes=15)
    stage.work()


@story(N_1=["disabled"])
def gate_gives_up(stage: Stage) -> None:
    stage.world.raises["gate.deny"] = Unsupported("deny")
    down(stage)


@story(N_1=["disabled"])
def slow_cache(stage: Stage) -> None:
    stage.world.slow_cache = True
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL)
    stage.work()
    stage.world.slow_cache = False
    stage.later(minutes=15)
    stage.work()


@story(N_1=["disabled"])
def seen_up_then_unclear(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.world.sees = Seen.UP
    stage.hand_in("N-1", URL)
    stage.work()
    stage.world.sees = Seen.INCONCLUSIVE
    stage.later(minutes=20)
    stage.work()
    stage.world.sees = None
    stage.later(minutes=20)
    stage.work()


@story(N_1=["disabled"], policy={"remove_after_days": 1000})
def served_again_from_elsewhere(stage: Stage) -> None:
    settled(stage)
    stage.world.sees = Seen.UP
    stage.later(hours=2)
    stage.work()
    stage.world.sees = None
    for seconds in (900, 31, 301):
        stage.later(seconds=seconds)
        stage.work()
    stage.later(days=100)
    stage.work()


@story(N_1=["disabled"])
def callbacks_fail(stage: Stage) -> None:
    stage.world.mailbox.answer = 503
    down(stage)
    stage.later(hours=80)
    stage.work()
    stage.world.mailbox.answer = 204
    stage.person("ann", "resend", "N-1")
    stage.work()


@story(N_1=["disabled"])
def letter_is_stuck(stage: Stage) -> None:
    stage.world.raises["sender.post"] = ValueError()
    down(stage)
    stage.world.raises.clear()
    stage.order("sweep", "letters")
    stage.work()


@story(N_1=["disabled"], setup={"callback_url": None})
def endpoint_comes_later(stage: Stage) -> None:
    down(stage)
    stage.restart(callback_url="https://hotline.example/cb")
    stage.order("sweep", "letters")
    stage.work()


@story(N_1=["review"], public=BODY)
def sweeps(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL, category="npi", deadline=stage.in_time(hours=1))
    stage.work()
    stage.order("lose_track")
    stage.order("reload")
    stage.later(hours=2)
    stage.order("sweep", "deadlines")
    stage.later(hours=2)
    stage.order("sweep", "pages")
    stage.order("sweep", "nonces")
    stage.order("number")
    stage.order("stop")


@story()
def accounts(stage: Stage) -> None:
    stage.account("add_user", "carla", "reviewer")
    stage.account("set_password", "carla", PASSWORD)
    stage.account("sign_in", "carla", PASSWORD)
    stage.account("issue_token", "carla", "script", "act", 30)
    stage.account("revoke_token")
    stage.account("set_role", "carla", "approver")
    stage.account("reset", "carla")
    stage.account("disable", "carla")

"""What a story is: it tells what happens to a stage, and names how it must end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.world import HOST
from tests.faults.points_stage import Stage

BODY, SECOND = b"colour field", b"second field"
PATH = "/public/a.jpg"
URL = f"https://{HOST}{PATH}"
GATE_URL = "https://gate.example.net/gallery.php?id=7"
Tell = Callable[[Stage], None]
POLICE = {"act": "preserve_only", "police_reference": "P-1"}


@dataclass(frozen=True, kw_only=True)
class Story:
    tell: Tell
    statuses: Mapping[str, list[str]]
    public: bytes | None = None
    """What the public gets under `URL` in the end."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    setup: Mapping[str, Any] = field(default_factory=dict)


STORIES: dict[str, Story] = {}


def story(
    *, public: bytes | None = None, policy: Any = None, setup: Any = None, **statuses: list[str]
) -> Callable[[Tell], Tell]:
    def keep(tell: Tell) -> Tell:
        ends = {name.replace("_", "-"): found for name, found in statuses.items()}
        one = Story(tell=tell, statuses=ends, public=public, policy=policy or {}, setup=setup or {})
        STORIES[tell.__name__] = one
        return tell

    return keep


def down(stage: Stage) -> None:
    stage.put(PATH, BODY)
    stage.hand_in("N-1", URL)
    stage.work()


def settled(stage: Stage) -> None:
    """Down, and past the purges for caches that were filling meanwhile."""
    down(stage)
    for seconds in (31, 301):
        stage.later(seconds=seconds)
        stage.work()


def mended(stage: Stage) -> None:
    stage.world.raises.clear()
    stage.later(minutes=15)
    stage.work()

"""What the tests of the whole chain begin with."""

from __future__ import annotations

from typing import Any

from tests.doubles.world import World

BODY = b"colour field"


def down(world: World, path: str = "/public/a.jpg", **changes: Any) -> tuple[str, str]:
    """A notice that was carried out; its URL and row id."""
    url = world.put(path, BODY)
    world.public_get(url)
    notice = world.notify(url, **changes)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    return url, notice

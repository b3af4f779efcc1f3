"""The gate's map as it was once kept: everything in one file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from adapters.nginx.rules import KINDS, Rule, head, lines_of, map_lines


def render(rules: Iterable[Rule], generation: str) -> bytes:
    """Everything in one file to include inside ``http { }``."""
    keys: dict[str, set[bytes]] = {kind: set() for kind in KINDS}
    for kind, key in itertools.chain.from_iterable(map(lines_of, rules)):
        keys[kind].add(key)
    return head(generation, {kind: map_lines(kind, keys[kind]) for kind in KINDS})

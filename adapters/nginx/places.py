"""Where in the map files a key stands: a place by its digest, so that one change rewrites one small file.

Three levels: the map file names the files of groups, a group names the files of its places, a place holds lines. Kinds
are those of `rules.KINDS`, by number.
"""

from __future__ import annotations

import hashlib

from adapters.nginx.rules import KINDS

GROUPS, PLACES_EACH = 32, 32

Node = tuple[int, int]
"""Kind, and the number of a place (from 0) or of a group (-1 and below)."""


def node_of(kind: str, key: bytes) -> Node:
    """Keys that differ in letter case only are looked up as one by nginx, so they share a place."""
    folded = key if kind == "spelling" else key.lower()
    return KINDS.index(kind), int.from_bytes(hashlib.sha256(folded).digest()[:2], "big") % (GROUPS * PLACES_EACH)


def group_of(node: Node) -> Node:
    return node[0], -1 - node[1] // PLACES_EACH


def below(group: Node) -> tuple[int, int]:
    """The first and the last place of a group."""
    first = (-1 - group[1]) * PLACES_EACH
    return first, first + PLACES_EACH - 1

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.domain import tree
from receiver.domain.tree import EMPTY_ROOT, Tree, TreeError, leaf_hash, node_hash

# The eight leaves that RFC 6962 implementations test themselves with, and the roots of the first n of them.
KNOWN_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
KNOWN_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


class Tiles:
    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], bytes] = {}
        self.size = 0
        self.written = 0
        self.reads = 0

    def read(self, level: int, n: int) -> bytes | None:
        self.reads += 1
        return self.rows.get((level, n))

    def add(self, leaves: Sequence[bytes]) -> bytes:
        done = tree.append(self.read, self.size, leaves)
        self.rows.update({(level, n): hashes for level, n, hashes in done.tiles})
        self.written += len(done.tiles)
        self.size = done.size
        return done.root

    def tree(self) -> Tree:
        return Tree(self.read, self.size)


def naive_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(start, start + count)]


def filled(count: int) -> Tiles:
    tiles = Tiles()
    if count:
        tiles.add(numbered(count))
    return tiles


def test_known_roots_are_met() -> None:
    tiles = Tiles()
    assert tiles.tree().root() == EMPTY_ROOT
    for leaf, root in zip(KNOWN_LEAVES, KNOWN_ROOTS, strict=True):
        assert tiles.add([leaf_hash(leaf)]).hex() == root
        assert tiles.tree().root().hex() == root


def test_known_empty_root_is_met() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_batches_give_the_naive_root(batches: list[int]) -> None:
    tiles = Tiles()
    leaves: list[bytes] = []
    for batch in batches:
        fresh = numbered(batch, len(leaves))
        leaves += fresh
        assert tiles.add(fresh) == naive_root(leaves)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1200), st.data())
def test_every_proof_verifies_and_no_other(size: int, data: st.DataObject) -> None:
    tiles = filled(size)
    found = tiles.tree()
    root, leaves = found.root(), numbered(size)
    index = data.draw(st.integers(0, size - 1))
    proof = found.inclusion_proof(index)
    assert tree.verify_inclusion(leaves[index], index, size, proof, root)
    assert not tree.verify_inclusion(leaf_hash(b"other"), index, size, proof, root)
    assert not tree.verify_inclusion(leaves[index], index, size, (*proof, root), root)
    assert not tree.verify_inclusion(leaves[index], size, size, proof, root)
    if proof:
        assert not tree.verify_inclusion(leaves[index], index, size, proof[:-1], root)
    old = data.draw(st.integers(1, size))
    assert found.root_at(old) == naive_root(leaves[:old])


def test_proofs_of_every_small_tree() -> None:
    for size in range(1, 34):
        found, leaves = filled(size).tree(), numbered(size)
        for index in range(size):
            assert tree.verify_inclusion(leaves[index], index, size, found.inclusion_proof(index), found.root())
        for old in range(1, size + 1):
            assert found.root_at(old) == naive_root(leaves[:old])


def test_proof_for_a_smaller_tree_fails() -> None:
    small, large = filled(4).tree(), filled(5).tree()
    proof = small.inclusion_proof(1)
    # Without the check that the walk arrived at the top, this would pass.
    assert not tree.verify_inclusion(numbered(4)[1], 1, 5, proof, small.root())
    assert not tree.verify_inclusion(numbered(4)[1], 1, 5, proof, large.root())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 700])
def test_pymerkle_agrees(size: int) -> None:
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(size):
        other.append_entry(str(number).encode())
    found = filled(size).tree()
    assert other.get_root() == found.root()
    for index in {0, size // 2, size - 1}:
        theirs = other.prove_inclusion(index + 1, size)
        pymerkle.verify_inclusion(numbered(size)[index], found.root(), theirs)
        ours = found.inclusion_proof(index)
        assert tuple(theirs.path[1:]) == ours


def test_a_small_batch_writes_few_rows() -> None:
    tiles = filled(70_000)
    tiles.written = tiles.reads = 0
    tiles.add(numbered(100, 70_000))
    assert tiles.written <= 2
    assert tiles.reads <= 6


def test_tile_limits_carry_upwards() -> None:
    tiles = filled(65_535)
    assert (2, 0) not in tiles.rows
    root = tiles.add(numbered(1, 65_535))
    assert len(tiles.rows[2, 0]) == 32
    assert tiles.rows[2, 0] == root
    assert len(tiles.rows[0, 255]) == 256 * 32


def test_a_proof_reads_few_tiles() -> None:
    tiles = filled(70_000)
    tiles.reads = 0
    tiles.tree().inclusion_proof(12_345)
    assert tiles.reads <= 5


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537, 70_000])
def test_proof_tiles_are_all_it_reads(size: int) -> None:
    tiles = filled(size)
    root, leaves = tiles.tree().root(), numbered(size)
    for index in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
        names = tree.proof_tiles(index, size)
        some = {name: tiles.rows[name] for name in names if name in tiles.rows}
        proof = Tree(lambda level, n, some=some: some.get((level, n)), size).inclusion_proof(index)  # type: ignore[misc]
        assert tree.verify_inclusion(leaves[index], index, size, proof, root)
        assert len(names) <= 5


def test_tiles_of_another_size_are_refused() -> None:
    tiles = filled(300)
    for size in (299, 301, 257):
        with pytest.raises(TreeError):
            tree.append(tiles.read, size, numbered(1))
    del tiles.rows[0, 0]
    with pytest.raises(TreeError):
        tiles.tree().inclusion_proof(0)


def test_cut_tile_is_refused() -> None:
    tiles = filled(300)
    tiles.rows[0, 1] = tiles.rows[0, 1][:-1]
    with pytest.raises(TreeError):
        tiles.tree().root()
    with pytest.raises(TreeError):
        tree.append(tiles.read, 300, numbered(1))


def test_short_leaf_hash_is_refused() -> None:
    with pytest.raises(TreeError):
        tree.append(Tiles().read, 0, [b"short"])


def test_impossible_proofs_are_refused() -> None:
    found = filled(5).tree()
    for index in (-1, 5):
        with pytest.raises(TreeError):
            found.inclusion_proof(index)
    for size in (-1, 6):
        with pytest.raises(TreeError):
            found.root_at(size)
    assert found.root_at(0) == EMPTY_ROOT


def test_hostile_proofs_give_false() -> None:
    root = filled(5).tree().root()
    assert not tree.verify_inclusion(root, -1, 5, (), root)
    assert not tree.verify_inclusion(root, 0, 0, (), root)

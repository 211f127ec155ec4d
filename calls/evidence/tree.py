"""The Merkle tree of RFC 6962, section 2.1 (RFC 9162 has the same one), with SHA-256. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

LEAF, NODE = b"\x00", b"\x01"
"""Prefixes of what is hashed: without them a node could be passed off as a leaf."""

EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(LEAF + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(NODE + left + right).digest()


class RootBuilder:
    """Computes the root of leaves that come one by one, in memory that grows with their logarithm:
    `peaks` are the roots of complete subtrees, the largest first.
    """

    def __init__(self) -> None:
        self.count = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        self._peaks.append(leaf_hash(leaf))
        self.count += 1
        size = self.count
        while size % 2 == 0:
            right = self._peaks.pop()
            self._peaks.append(node_hash(self._peaks.pop(), right))
            size //= 2

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY
        *others, root = self._peaks
        for left in reversed(others):
            root = node_hash(left, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Returns the root of a tree of `leaves`, in their order."""
    builder = RootBuilder()
    for leaf in leaves:
        builder.add(leaf)
    return builder.root()


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Returns the audit path of one leaf (RFC 6962, section 2.1.1), from the leaf upwards."""
    assert 0 <= index < len(leaves), "the tree has this leaf"
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*inclusion_proof(index, leaves[:split]), root_of(leaves[split:])]
    return [*inclusion_proof(index - split, leaves[split:]), root_of(leaves[:split])]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that `leaf` is at `index` in the tree of `size` leaves with this
    root (RFC 9162, section 2.1.3.2).
    """
    if not 0 <= index < size:
        return False
    position, last, current = index, size - 1, leaf_hash(leaf)
    for sibling in proof:
        if last == 0:
            return False
        if position % 2 or position == last:
            current = node_hash(sibling, current)
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            current = node_hash(current, sibling)
        position, last = position // 2, last // 2
    return last == 0 and current == root

"""The Merkle tree: vectors of the reference implementation of RFC 6962, and laws."""

from __future__ import annotations

from hashlib import sha256

from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st

from calls.evidence.tree import (
    EMPTY,
    RootBuilder,
    inclusion_proof,
    is_included,
    leaf_hash,
    node_hash,
    root_of,
)

# github.com/google/certificate-transparency, merkletree/merkle_tree_test.cc
LEAVES = [
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
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {  # (index, size): the audit path
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}

some_leaves = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def recursive_root(leaves: list[bytes]) -> bytes:
    """Returns the root by the definition in the RFC."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    parts = recursive_root(leaves[:split]) + recursive_root(leaves[split:])
    return sha256(b"\x01" + parts).digest()


class Vectors(SimpleTestCase):
    def test_roots(self) -> None:
        found = [root_of(LEAVES[:size]).hex() for size in range(1, 9)]
        self.assertEqual(found, ROOTS)

    def test_root_of_nothing(self) -> None:
        self.assertEqual(root_of([]), EMPTY)
        self.assertEqual(
            EMPTY.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        )

    def test_audit_paths(self) -> None:
        for (index, size), path in PATHS.items():
            with self.subTest(index=index, size=size):
                found = inclusion_proof(index, LEAVES[:size])
                self.assertEqual([one.hex() for one in found], path)


class Laws(SimpleTestCase):
    @given(some_leaves)
    def test_the_root_is_that_of_the_definition(self, leaves: list[bytes]) -> None:
        self.assertEqual(root_of(leaves), recursive_root(leaves))

    @given(some_leaves)
    def test_a_builder_has_the_root_of_what_it_was_given(self, leaves: list[bytes]) -> None:
        builder = RootBuilder()
        for count, leaf in enumerate(leaves, 1):
            builder.add(leaf)
            self.assertEqual(builder.root(), root_of(leaves[:count]))
        self.assertEqual(builder.count, len(leaves))

    @given(some_leaves)
    def test_every_leaf_is_included(self, leaves: list[bytes]) -> None:
        root = root_of(leaves)
        for index, leaf in enumerate(leaves):
            proof = inclusion_proof(index, leaves)
            self.assertTrue(is_included(leaf, index, len(leaves), proof, root))

    @given(some_leaves, st.data())
    def test_nothing_else_is_included(self, leaves: list[bytes], data: st.DataObject) -> None:
        root, size = root_of(leaves), len(leaves)
        index = data.draw(st.integers(0, size - 1))
        leaf, proof = leaves[index], inclusion_proof(index, leaves)
        other = next((at for at, one in enumerate(leaves) if one != leaf), None)
        self.assertFalse(is_included(leaf + b"!", index, size, proof, root))
        self.assertFalse(is_included(leaf, index, size, [*proof, EMPTY], root))
        self.assertFalse(is_included(leaf, index, size, proof, EMPTY))
        if proof:
            self.assertFalse(is_included(leaf, index, size, proof[:-1], root))
        if other is not None:
            self.assertFalse(is_included(leaf, other, size, proof, root))

    def test_a_place_outside_of_the_tree_is_wrong(self) -> None:
        root = root_of(LEAVES)
        for index in (-1, 8):
            self.assertFalse(is_included(b"", index, 8, [], root))

    def test_a_node_is_no_leaf(self) -> None:
        left, right = leaf_hash(b"a"), leaf_hash(b"b")
        self.assertNotEqual(leaf_hash(left + right), node_hash(left, right))

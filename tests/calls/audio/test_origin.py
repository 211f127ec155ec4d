"""The origin of a segment is restored from the comment of its file."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.audio.codec import comment_of, encode
from calls.audio.origin import PREFIX, Origin, origin_in

TEXT = st.text(st.characters(codec="utf-8"), max_size=600)


class OriginTests(TestCase):
    @given(TEXT, TEXT)
    def test_any_identifiers_are_restored_from_the_file(self, raw_id: str, connection: str) -> None:
        origin = Origin(connection, "correlation", raw_id, 3, "stream", 1, 1_664_824_372_000_000)
        content = encode(bytes(640), 16_000, origin.as_comment())
        self.assertEqual(origin_in(comment_of(content)), origin)

    def test_a_file_of_an_older_version_has_none(self) -> None:
        self.assertIsNone(origin_in(comment_of(encode(bytes(640), 16_000))))

    def test_another_comment_is_none(self) -> None:
        for comment in ("recorded by somebody", PREFIX + "{", PREFIX + "{}"):
            self.assertIsNone(origin_in(comment), comment)

    def test_fields_of_later_versions_are_ignored(self) -> None:
        origin = Origin("connection", "correlation", "4:+1", 0, "stream", 0, 1)
        comment = origin.as_comment().replace("{", '{"colour":"red",', 1)
        self.assertEqual(origin_in(comment), origin)

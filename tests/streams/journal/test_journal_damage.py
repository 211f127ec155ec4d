"""Damaged journals: torn tails, flipped bits, records of other versions."""

from __future__ import annotations

import json
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.journal import records as journal
from streams.journal.records import MAGIC, MARKER, Audio, Closed, Damage, Dtmf, Voice
from tests.streams.journal.test_journal import JournalTest, encoded, spans
from tests.streams.journals import audio_of, damage_in, flipped, intact, metadata_of
from tests.streams.packets import speech


class TornTail(JournalTest):
    def test_a_file_cut_at_any_byte_gives_the_records_before_the_cut(self) -> None:
        handshake, content = self.written(
            [metadata_of(), Voice(0, "p"), *map(audio_of, speech(2)), Closed(1, 1000)]
        )
        whole = list(journal.parse(content))
        self.assertEqual(whole[0], handshake)
        for length in range(len(content)):
            records = list(journal.parse(content[:length]))
            kept = intact(records)
            self.assertEqual(kept, whole[: len(kept)])
            self.assertLess(len(kept), len(whole))
            self.assertLessEqual(len(damage_in(records)), 1)
            for damage in damage_in(records):
                self.assertEqual((damage.end, damage.torn), (length, True))

    def test_a_record_needs_its_last_byte(self) -> None:
        _, content = self.written([Closed(1, 1000)])
        self.assertEqual(len(intact(journal.parse(content[:-1]))), 1)
        self.assertEqual(len(intact(journal.parse(content))), 2)

    def test_zeros_at_the_end_as_after_a_power_cut_are_damage(self) -> None:
        _, content = self.written([Voice(0, "p")])
        *records, damage = journal.parse(content + bytes(4096))
        self.assertEqual(len(records), 2)
        self.assertEqual(damage, Damage(len(content), len(content) + 4096, torn=True))

    def test_an_empty_file_has_no_records(self) -> None:
        self.assertEqual(list(journal.parse(b"")), [])


class Damaged(JournalTest):
    def test_any_single_flipped_bit_leaves_all_other_records_intact_and_is_reported(self) -> None:
        """The bit may cost the record that contains it, never its neighbours."""
        _, content = self.written(
            [Voice(0, "p"), Dtmf(1, "5"), Audio(5, 6, 0, silent=True, pcm=b"ab"), Closed(1, 1)]
        )
        whole = list(journal.parse(content))
        for bit in range(len(content) * 8):
            records = list(journal.parse(flipped(content, bit)))
            kept, damage = intact(records), damage_in(records)
            self.assertEqual(len(damage), 1, f"bit {bit}")
            self.assertTrue(damage[0].start <= bit // 8 < damage[0].end, f"bit {bit}")
            self.assertGreaterEqual(len(kept), len(whole) - 1, f"bit {bit}")
            self.assertEqual(kept, [record for record in whole if record in kept], f"bit {bit}")

    @settings(max_examples=60)
    @given(st.integers(0, 2**32), st.integers(1, 2000))
    def test_damage_of_any_length_costs_only_the_records_it_touches(
        self, seed: int, length: int
    ) -> None:
        _, content = self.written([Voice(0, "p"), *map(audio_of, speech(8))])
        start, whole = seed % len(content), list(journal.parse(content))
        records = list(journal.parse(content[:start] + bytes(length) + content[start + length :]))
        spared = [
            record
            for record, (first, end) in zip(whole, spans(content), strict=True)
            if end <= start or first >= start + length
        ]
        self.assertEqual([record for record in intact(records) if record in spared], spared)
        self.assertTrue(all(record in whole for record in intact(records)))

    @given(st.binary(max_size=3000))
    def test_arbitrary_content_raises_nothing(self, content: bytes) -> None:
        for prefix in (b"", MAGIC, MAGIC + MARKER, MAGIC + MARKER + b"\x04\x00\x05\x00\x00\x00"):
            end = 0
            for record in journal.parse(prefix + content):
                if isinstance(record, Damage):
                    self.assertLess(end, record.end)
                    end = record.end

    def test_unknown_kinds_are_skipped_silently(self) -> None:
        _, content = self.written([Voice(0, "p")])
        records = list(
            journal.parse(content + encoded(200, b"?") + encoded(7, b'{"at_us":1,"code":1000}'))
        )
        self.assertEqual(records[2:], [Closed(1, 1000)])

    def test_unknown_members_are_ignored(self) -> None:
        body = json.dumps({"index": 3, "raw_id": "p", "colour": "blue"}).encode()
        self.assertEqual(list(journal.parse(MAGIC + encoded(3, body))), [Voice(3, "p")])

    def test_an_intact_record_with_an_invalid_body_is_damage(self) -> None:
        good = encoded(3, b'{"index":0,"raw_id":"p"}')
        for wrong in (
            encoded(3, b'{"index":"x"}'),
            encoded(3, b"\xff"),
            encoded(4, b"short"),
            encoded(1, b""),
        ):
            with self.subTest(wrong=wrong):
                damage = Damage(len(MAGIC), len(MAGIC) + len(wrong), torn=False)
                self.assertEqual(list(journal.parse(MAGIC + wrong + good)), [damage, Voice(0, "p")])

    def test_an_excessive_length_is_damage(self) -> None:
        head = struct.pack("<2sBBI", MARKER, 4, 0, journal.MAX_BODY_BYTES + 1)
        content = MAGIC + head + bytes(journal.MAX_BODY_BYTES + 5)
        self.assertEqual(
            list(journal.parse(content)), [Damage(len(MAGIC), len(content), torn=True)]
        )

    def test_markers_inside_audio_are_no_records(self) -> None:
        hostile = Audio(1, 2, 0, silent=False, pcm=(MARKER + b"\x04\x00\x10\x00\x00\x00") * 200)
        handshake, content = self.written([hostile, Closed(1, 1000)])
        self.assertEqual(list(journal.parse(content)), [handshake, hostile, Closed(1, 1000)])
        damaged = list(journal.parse(flipped(content, len(content) * 4)))
        self.assertEqual(intact(damaged), [handshake, Closed(1, 1000)])

"""What lists say of tracks is read from an index alone: no list grows slower with the rows that lie
between.
"""

from __future__ import annotations

from unittest import skipUnless

from django.db import IntegrityError, connection
from django.test import TestCase

from calls.models import Participant, Segment
from tests.calls.rows import make_conversation


class SumTests(TestCase):
    @skipUnless(
        connection.vendor == "postgresql", "SQLite's indexes hold what they order by and no more"
    )
    def test_lengths_and_sizes_of_tracks_are_read_from_the_index_alone(self) -> None:
        make_conversation()
        with connection.cursor() as cursor:
            for way in (
                "seqscan",
                "bitmapscan",
            ):  # tables of a test are so small that any way will do
                cursor.execute(f"SET LOCAL enable_{way} = off")
            plan = Participant.objects.with_recording().order_by().explain()
        readings = [line.strip() for line in plan.splitlines() if " on calls_segment " in line]
        self.assertGreaterEqual(len(readings), 3, plan)
        for reading in readings:
            self.assertIn("Index Only Scan using segment_one_per_start", reading)

    def test_two_segments_of_a_track_never_begin_at_one_place(self) -> None:
        make_conversation()
        segment = Segment.objects.all()[0]
        segment.pk = segment.participant_id
        with self.assertRaises(IntegrityError):
            segment.save(force_insert=True)

"""Sums over segments, which lists show for each track, are read from an index alone, so that lists
stay fast as tables grow.
"""

from __future__ import annotations

from unittest import skipUnless

from django.db import IntegrityError, connection
from django.test import TestCase

from calls.models import Participant, Segment
from tests.calls.rows import make_conversation


class SumTests(TestCase):
    @skipUnless(connection.vendor == "postgresql", "SQLite has no INCLUDE columns in indexes")
    def test_lengths_and_sizes_of_tracks_are_read_from_the_index_alone(self) -> None:
        make_conversation()
        with connection.cursor() as cursor:
            # The tables of a test are so small that the planner would choose any of them.
            for method in ("seqscan", "bitmapscan"):
                cursor.execute(f"SET LOCAL enable_{method} = off")
            plan = Participant.objects.with_recording().order_by().explain()
        scans = [line.strip() for line in plan.splitlines() if " on calls_segment " in line]
        self.assertGreaterEqual(len(scans), 3, plan)
        for scan in scans:
            self.assertIn("Index Only Scan using segment_one_per_start", scan)

    def test_two_segments_of_a_track_cannot_start_at_the_same_sample(self) -> None:
        make_conversation()
        segment = Segment.objects.all()[0]
        segment.pk = segment.participant_id
        with self.assertRaises(IntegrityError):
            segment.save(force_insert=True)

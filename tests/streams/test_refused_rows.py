"""Writing rows of refused handshakes: they wait for the database, and one bad row delays none."""

from __future__ import annotations

from unittest.mock import patch
from uuid import uuid4

from django.db import DatabaseError, connection
from django.test import TestCase

from calls.models import RefusedHandshake
from streams import refused_rows
from streams.refused import Origin, RefusedHandshakes
from streams.refused_rows import MOST, write_refused

NOON = 1_800_000_000.0


class Written(TestCase):
    def setUp(self) -> None:
        self.process = uuid4()
        self.handshakes = RefusedHandshakes(self.process)

    def add(self, call: str, *, reason: str = "expired") -> None:
        origin = Origin("2001:db8::7", call, "")
        self.handshakes.add(reason, from_acs=True, origin=origin, now=NOON)

    def write(self) -> None:
        write_refused(self.handshakes, self.process)

    def test_a_row_grows_and_is_never_counted_twice(self) -> None:
        self.add("c1")
        self.write()
        self.write()
        self.add("c1")
        self.write()
        row = RefusedHandshake.objects.get()
        self.assertEqual((row.count, row.address, row.process), (2, "2001:db8::7", self.process))
        self.assertEqual(row.first_at.timestamp(), NOON)

    def test_nothing_is_lost_while_the_database_is_away(self) -> None:
        self.add("c1")
        with (
            patch.object(refused_rows, "store", side_effect=DatabaseError("away")),
            self.assertRaises(DatabaseError),
        ):
            self.write()
        self.add("c2")
        self.write()
        self.assertEqual(RefusedHandshake.objects.count(), 2)

    def test_a_row_that_the_database_rejects_delays_no_other(self) -> None:
        self.add("good")
        self.add("bad", reason="x" * 10_000)
        self.add("better")
        if connection.vendor != "postgresql":
            self.skipTest("SQLite stores texts of any length")
        with self.assertLogs("streams.refused_rows", "WARNING") as logs:
            self.write()
        self.assertEqual(len(logs.output), 1)
        self.assertEqual(RefusedHandshake.objects.count(), 2)
        self.assertEqual(self.handshakes.unwritten(), [])

    def test_a_count_beyond_its_column_is_the_largest_one(self) -> None:
        self.add("c1")
        [row] = self.handshakes.unwritten()
        with patch.object(refused_rows, "MOST", 0):
            self.write()
        self.assertEqual(RefusedHandshake.objects.get().count, 0)
        self.assertEqual((row.count, MOST), (1, 2_147_483_647))

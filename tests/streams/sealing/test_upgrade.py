"""A spool that the version of November 2026 left behind, with names of fields from before the
move into packages: sealed by this version, to the sample.

`tests/data/spool-2026-11` was written by that version: a call whose process died (a finished
journal with the state before it, and an open one) and a call that reconnected (the axis that its
first socket left, and the journal of the second).

During an upgrade, processes of both versions write to the database.
"""

from __future__ import annotations

import shutil
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.test import TestCase

from calls import identity
from calls.models import Call, Participant, Subscription
from calls.times import from_microseconds
from tests.data import SPOOL_2026_11
from tests.streams.packets import START, START_US, speech
from tests.streams.spools import SpoolTest

PACKETS = speech(100)
NEW_COLUMNS = {"clock", "odd_timestamp", "voice"}


def pcm_of(first: int, end: int) -> bytes:
    return b"".join(packet.pcm for packet in PACKETS[first:end])


class OldSpool(SpoolTest):
    def setUp(self) -> None:
        super().setUp()
        shutil.copytree(SPOOL_2026_11, self.spool, dirs_exist_ok=True)
        self.clock.forward(3600)
        for _round in range(4):
            self.assertTrue(self.process.round(60))

    def call_id(self, connection_id: str) -> UUID:
        return Call.objects.get(call_connection_id=connection_id).id

    def test_is_sealed_to_the_last_file(self) -> None:
        self.assertEqual(self.files(), [])

    def test_calls_have_the_ids_that_the_old_version_gave_them(self) -> None:
        ids = {identity.call_id_of(name, UUID(int=0)) for name in ("died", "reconnected")}
        self.assertEqual({call.id for call in Call.objects.all()}, ids)

    def test_packets_of_the_state_and_of_both_journals_are_one_run(self) -> None:
        """The first 20 packets are only in the state, where they waited for their place."""
        self.assertEqual(self.recorded(self.call_id("died")), [(START, pcm_of(0, 100))])

    def test_the_duplicate_that_the_old_version_saw_stays_counted(self) -> None:
        counts = Subscription.objects.get(call_id=self.call_id("died"))
        self.assertEqual((counts.audio, counts.duplicate), (101, 1))

    def test_a_reconnected_socket_goes_on_where_the_old_axis_ends(self) -> None:
        """Packets 55 to 59 were sent on both sockets: the axis remembers them."""
        [(start, pcm)] = self.recorded(self.call_id("reconnected"))
        self.assertEqual(start, (START_US + 60 * 20_000) * 16_000 // 1_000_000)
        self.assertEqual(pcm, pcm_of(60, 100))
        self.assertIn(("dtmf", ""), self.ledger("dtmf"))


def insert_like_the_old_version(row: Model) -> None:
    """Inserts the row without the columns that the version before does not have."""
    fields = [one for one in row._meta.concrete_fields if one.column not in NEW_COLUMNS]
    inserting: Any = row
    inserting._do_insert(type(row)._base_manager, "default", fields, [], raw=True)


class OldProcess(TestCase):
    def test_inserts_rows_without_the_new_columns(self) -> None:
        moment, call_id = from_microseconds(START_US), UUID(int=1)
        call = Call.objects.create(id=call_id, started_at=moment)
        insert_like_the_old_version(
            Subscription(
                id=UUID(int=2),
                call=call,
                stream_id=UUID(int=3),
                connected_at=moment,
                seen_at=moment,
            )
        )
        insert_like_the_old_version(Participant(id=UUID(int=4), call=call, kind="mixed"))
        self.assertEqual(Subscription.objects.get().odd_timestamp, 0)
        self.assertIsNone(Subscription.objects.get().clock)
        self.assertIsNone(Participant.objects.get().voice)

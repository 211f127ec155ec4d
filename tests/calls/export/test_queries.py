"""Query sets of calls and participants: extent, counts, sizes, state."""

from __future__ import annotations

from datetime import timedelta

from django.test import TestCase, override_settings

from calls.models import Call, Participant, Segment
from tests.calls.admin.recordings import ALICE, BOB, STARTED, Recording, Spoken

LATER = STARTED + timedelta(days=1)
SECOND = timedelta(seconds=1)


class RecordingTests(TestCase):
    def test_a_call_counts_the_segments_and_gaps_of_all_its_tracks(self) -> None:
        Recording().write()
        call = Recording(
            tracks=(Spoken(ALICE, segments=3, gaps=2), Spoken(BOB, segments=2, gaps=1))
        ).write()

        found = Call.objects.with_recording().get(pk=call.pk)

        # Bob's gap of 0.5 s is at the time of one of Alice's two.
        self.assertEqual((found.segment_count, found.gap_count, found.gap_seconds), (5, 3, 1.0))
        sizes = Segment.objects.filter(participant__call=call).values_list(
            "stored_bytes", flat=True
        )
        self.assertEqual(found.stored_bytes, sum(sizes))

    def test_a_track_counts_only_its_own_segments_and_gaps(self) -> None:
        Recording(tracks=(Spoken(ALICE, segments=3, seconds=0.5, gaps=2), Spoken(BOB))).write()

        found = Participant.objects.with_recording().get(raw_id=ALICE)

        self.assertEqual((found.segment_count, found.recorded_seconds), (3, 1.5))
        self.assertEqual((found.gap_count, found.gap_seconds), (2, 1.0))

    def test_a_call_without_audio_counts_zero_and_has_no_extent(self) -> None:
        Recording(tracks=()).write()
        found = Call.objects.with_recording().with_audio_extent().get()
        self.assertEqual(
            (found.segment_count, found.stored_bytes, found.gap_count, found.gap_seconds),
            (0, 0, 0, 0.0),
        )
        self.assertEqual((found.audio_started_at, found.audio_ended_at), (None, None))

    def test_the_extent_is_from_the_first_to_the_last_audio(self) -> None:
        Recording(tracks=(Spoken(ALICE, segments=2), Spoken(BOB, segments=5))).write()
        found = Call.objects.with_audio_extent().get()
        self.assertEqual(
            (found.audio_started_at, found.audio_ended_at), (STARTED, STARTED + 5 * SECOND)
        )


class StateTests(TestCase):
    def test_the_filter_by_state_agrees_with_the_state(self) -> None:
        now = LATER
        Recording(started=now, open_at=now).write()
        Recording(open_at=STARTED).write()  # its recorder died
        for close_code in (1000, 1001, 1005, 1006, 1011, 4400, None):
            Recording(close_code=close_code).write()
        counts = {}
        for state in ("live", "ended", "interrupted"):
            calls = Call.objects.with_state(now)
            in_state = set(calls.filter(state=state))  # type: ignore[misc]  # annotated
            self.assertEqual(set(calls.in_state(state, now)), in_state)
            counts[state] = calls.in_state(state, now).count()
        self.assertEqual(counts, {"live": 1, "ended": 3, "interrupted": 5})


class LiveTests(TestCase):
    def test_live_and_state_agree_on_every_socket(self) -> None:
        Recording(open_at=STARTED).write()
        Recording().write()  # closed a minute after the start
        for grace in (10, 3600):
            for seconds in (1, 29, 31, 65, 75, 100, 4000):
                now = STARTED + timedelta(seconds=seconds)
                with (
                    self.subTest(grace=grace, seconds=seconds),
                    override_settings(RECONNECT_GRACE_SECONDS=grace),
                ):
                    live = Call.objects.with_state(now).filter(state="live")  # type: ignore[misc]  # annotated
                    self.assertEqual(set(Call.objects.live(now)), set(live))

    def test_a_call_with_two_open_sockets_is_live_once(self) -> None:
        Recording(connection_id="one", open_at=LATER).write()
        call = Call.objects.get()
        socket = call.subscriptions.get()
        socket.pk, socket.stream_id = call.pk, call.pk
        socket.save(force_insert=True)
        self.assertEqual(Call.objects.live(LATER).count(), 1)

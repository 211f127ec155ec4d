"""The harness of `make torture` detects every kind of damage; its short form, on a real server."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest import SkipTest

import numpy as np
from django.test import SimpleTestCase, tag

from calls.audio import codec
from calls.audio.codec import Samples
from calls.storage.local import DurableFileStorage
from tests.torture import integrity
from tests.torture.caller import Caller, Sent
from tests.torture.dashboard import LiveSocket
from tests.torture.databases import SQLite
from tests.torture.faults import FAULTS
from tests.torture.media_socket import FINAL, PING, TEXT
from tests.torture.numbered import PACKET_SAMPLES, SAMPLE_RATE, NumberedVoice, Piece, Sequence
from tests.torture.recording import Recording, Track
from tests.torture.table import Row, lines
from tests.torture.trial import Trial
from tests.torture.verdict import Findings, judge

PACKETS = 50
BEGAN_US = 1_700_000_000_000_000
SNAPSHOT = b'{"type": "snapshot", "alarms": []}'


class NumberedVoiceTests(SimpleTestCase):
    def test_is_recognised_completely(self) -> None:
        self.assertEqual(self.pieces(SPOKEN), [Piece(0, 0, PACKETS * PACKET_SAMPLES)])

    def test_shows_a_loss_of_one_sample(self) -> None:
        self.assertEqual(
            self.pieces(np.delete(SPOKEN, 1000)),
            [Piece(0, 0, 1000), Piece(1000, 1001, len(SPOKEN) - 1001)],
        )

    def test_shows_a_shift_into_silence(self) -> None:
        shifted = np.concatenate([SPOKEN[:500], np.zeros(7, np.int16), SPOKEN[500:]])
        self.assertEqual(
            self.pieces(shifted), [Piece(0, 0, 500), Piece(507, 500, len(SPOKEN) - 500)]
        )

    def test_shows_a_sample_of_unknown_origin(self) -> None:
        changed = SPOKEN.copy()
        changed[1000] ^= 1
        self.assertIn(Piece(1000, None, 1), self.pieces(changed))

    def test_differs_from_another(self) -> None:
        other = NumberedVoice(2).samples(2)
        self.assertEqual(self.pieces(other), [Piece(0, None, len(other))])

    def pieces(self, recorded: Samples) -> list[Piece]:
        return Sequence(SPOKEN).pieces(recorded)


class VerdictTests(SimpleTestCase):
    """The verdict on one voice of 50 packets, all of them sent."""

    def test_a_complete_recording_has_no_findings(self) -> None:
        self.assertEqual(self.judge(SPOKEN).broken, [])

    def test_a_lost_packet_is_measured(self) -> None:
        findings = self.judge(SPOKEN[: -2 * PACKET_SAMPLES])
        self.assertEqual(findings.worst_lost_ms, 40)
        self.assertEqual(findings.broken, ["40 ms of sent audio lost: packets 48-49"])

    def test_an_allowed_loss_is_no_finding(self) -> None:
        self.assertEqual(self.judge(SPOKEN[: -2 * PACKET_SAMPLES], allowed_ms=40).broken, [])

    def test_the_loss_of_read_packets_is_measured(self) -> None:
        self.assertEqual(
            self.judge(SPOKEN[: -5 * PACKET_SAMPLES], allowed_ms=1000, read=47).worst_read_lost_ms,
            40,
        )

    def test_a_repetition_is_reported(self) -> None:
        self.assert_broken(
            np.concatenate([SPOKEN[:3200], SPOKEN[2880:]]), "sample 2880 is repeated"
        )

    def test_a_swap_is_reported(self) -> None:
        self.assert_broken(
            np.concatenate([SPOKEN[:640], SPOKEN[960:1280], SPOKEN[640:960], SPOKEN[1280:]]),
            "or late",
        )

    def test_a_shift_is_measured(self) -> None:
        self.assert_broken(SPOKEN, "is off by +80 ms", zero_us=BEGAN_US + 80_000)

    def test_silence_without_a_gap_is_located(self) -> None:
        self.assert_broken(WITH_SILENCE, "silence from 0.200 to 0.400 s without a gap")

    def test_silence_with_its_gap_is_no_finding(self) -> None:
        gap = {"start": 0.2, "end": 0.4, "reason": "not_received"}
        self.assertEqual(self.judge(WITH_SILENCE, allowed_ms=200, gaps=[gap]).broken, [])

    def test_a_wrong_hash_names_the_segment(self) -> None:
        segment = {"start_sample": 0, "sample_count": 100, "sha256": "0" * 64}
        self.assert_broken(
            SPOKEN, "segment at 0: the export does not match its hash", segments=[segment]
        )

    def test_packets_that_were_never_sent_are_reported(self) -> None:
        self.assert_broken(SPOKEN, "1 packets stored that were never sent", left_out=10)

    def assert_broken(self, recorded: Samples, words: str, **circumstances: Any) -> None:
        broken = self.judge(recorded, allowed_ms=10_000, **circumstances).broken
        self.assertTrue(any(words in sentence for sentence in broken), broken)

    def judge(
        self,
        recorded: Samples,
        *,
        allowed_ms: int = 0,
        read: int = PACKETS,
        zero_us: int = BEGAN_US,
        gaps: list[dict[str, Any]] | None = None,
        segments: list[dict[str, Any]] | None = None,
        left_out: int | None = None,
    ) -> Findings:
        caller = Caller("", 1, voices=1)
        (raw_id,) = caller.voices
        caller.started_us = BEGAN_US
        caller.sent[raw_id] = [
            Sent(number, 0, 1, number + 1) for number in range(PACKETS) if number != left_out
        ]
        caller.read_up_to = {1: read}
        track = Track(raw_id, recorded, segments or [], gaps or [])
        return judge(
            caller, Recording("ended", zero_us, {raw_id: track}, PACKETS), allowed_ms=allowed_ms
        )


class RowsAndObjectsTests(SimpleTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        pcm = SPOKEN[:100].tobytes()
        (self.folder / "a.flac").write_bytes(codec.encode(pcm, SAMPLE_RATE))
        self.row = ("track", 0, 100, codec.pcm_hash(pcm), "a.flac")

    def test_matching_rows_and_objects_have_no_faults(self) -> None:
        self.assertEqual(self.faults(self.row), [])

    def test_a_row_without_its_object_is_a_fault(self) -> None:
        (self.folder / "a.flac").unlink()
        self.assertEqual(self.faults(self.row), ["a row whose audio is not there: a.flac"])

    def test_an_object_without_its_row_is_a_fault(self) -> None:
        self.assertEqual(self.faults(), ["audio without a row left behind: a.flac"])

    def test_half_an_object_is_a_fault(self) -> None:
        whole = (self.folder / "a.flac").read_bytes()
        (self.folder / "a.flac").write_bytes(whole[: len(whole) // 2])
        self.assertIn("is damaged", "".join(self.faults(self.row)))

    def test_two_rows_at_one_sample_are_a_fault(self) -> None:
        self.assertEqual(
            self.faults(self.row, ("track", 99, *self.row[2:])),
            ["two segments of a track at sample 99"],
        )

    def faults(self, *rows: tuple[Any, ...]) -> list[str]:
        return list(integrity.faults_of(rows, DurableFileStorage(location=str(self.folder))))


class DashboardTests(SimpleTestCase):
    def setUp(self) -> None:
        self.server, browser = socket.socketpair()
        self.addCleanup(self.server.close)
        self.addCleanup(browser.close)
        browser.setblocking(False)
        self.browser = browser

    async def test_keeps_listening_after_a_ping_that_is_not_text(self) -> None:
        await self.hears(from_server(PING, b"\xff\x00\xaa\x55"), from_server(TEXT, SNAPSHOT))
        self.assertEqual(len(self.live.snapshots), 1)

    async def test_closes_at_an_invalid_message_and_raises_the_reason(self) -> None:
        with self.assertRaises(ValueError):
            await self.hears(from_server(TEXT, b"{"))
        self.assertTrue(self.live.closed.is_set())

    async def hears(self, *frames: bytes) -> None:
        self.server.sendall(b"".join(frames))
        self.server.shutdown(socket.SHUT_WR)
        self.live = LiveSocket(self.browser)
        await self.live._listen(b"")


def from_server(kind: int, payload: bytes) -> bytes:
    """Returns a short unmasked frame, as servers send it."""
    return bytes([FINAL | kind, len(payload)]) + payload


class TableTests(SimpleTestCase):
    def test_shows_broken_promises(self) -> None:
        row = Row("kill-9", "uvicorn", "sqlite", 1, 10, 9, 20, "0 ms", ["20 ms lost"], ["gone"])
        self.assertIn("BROKEN", lines(row))
        self.assertIn("20 ms lost", lines(row))


@tag("once")
class TheShortForm(SimpleTestCase):
    """One round of each of the worst faults, on SQLite; `make torture` tries all."""

    database: SQLite

    def test_nothing_is_lost_by_kill_9_on_uvicorn(self) -> None:
        self.hold("kill-9", "uvicorn")

    def test_nothing_is_lost_by_sigterm_on_daphne(self) -> None:
        self.hold("sigterm", "daphne")

    def test_a_power_cut_costs_the_last_second(self) -> None:
        self.hold("power-cut", "uvicorn")

    def test_a_flipped_bit_costs_one_packet(self) -> None:
        self.hold("bit-in-journal", "daphne")

    def hold(self, name: str, server: str) -> None:
        fault = FAULTS[name]
        if missing := fault.missing():
            raise SkipTest(missing)
        trial = Trial(server, self.database, Random(name), rounds=1, long=False)
        asyncio.run(trial.run(fault))
        self.assertEqual(trial.findings.broken, [])
        self.assertGreater(trial.findings.packets_stored, 0)

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.database = SQLite()
        cls.addClassCleanup(cls.database.close)


SPOKEN = NumberedVoice(1).samples(PACKETS)
WITH_SILENCE = SPOKEN.copy()
WITH_SILENCE[3200:6400] = 0

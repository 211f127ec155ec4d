"""A second sender beside ACS: another wire, the same journals, calls of its own."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import IsolatedAsyncioTestCase

from calls.live.messages import News
from streams.acs.messages import ACS
from streams.alarm_lines import AlarmSource
from streams.ingest.packets import AudioData, AudioMetadata, DtmfData, Malformed, Message, Sender
from streams.ingest.stream import Stream
from streams.journal.records import Audio, Closed, Counts, Dtmf, Handshake, Metadata, Record, Voice
from streams.recorder import Recorder
from streams.refused import ReceivedRows, RefusedSource
from streams.sealing.process import no_refusals
from streams.stats import Backlog, SealStage
from tests.streams.streams import ALICE, PACKET, START_US, audio, dtmf, metadata, read

ONE_SECOND_AT_8_KHZ = bytes(16_000)


def decode(message: str | bytes) -> Message:
    """JSON lists: ["format", rate], ["pcm", who, microseconds, base64] and ["key", tone]."""
    try:
        kind, *members = json.loads(message)
    except (ValueError, TypeError) as error:
        raise Malformed("not a list") from error
    if kind == "format":
        return AudioMetadata("sub-1", "PCM", members[0], 1, members[0] / 25)
    if kind == "pcm":
        return AudioData(members[0], members[1], b64decode(members[2]))
    return DtmfData(members[0])


OTHER = Sender("other", decode, {len(ONE_SECOND_AT_8_KHZ): 8_000})


def pcm(content: bytes = PACKET, *, at: int = 0) -> str:
    return json.dumps(["pcm", ALICE, START_US + at * 20_000, b64encode(content).decode()])


class IdleSealer:
    """Leaves the journals as they are, to be read by the test."""

    backlog = Backlog()
    segments_sealed = 0

    def __init__(self, _spool: Path, _own: Path) -> None:
        self.failures: dict[SealStage, int] = {}
        self.refusals = no_refusals
        self.refused: RefusedSource = ReceivedRows()
        self.alarms: AlarmSource = lambda: None

    def start(self) -> None: ...

    def wake(self) -> None: ...

    def stop(self, timeout_seconds: float) -> bool:
        return timeout_seconds >= 0


async def ignore(_news: News) -> None:
    """No dashboard."""


class SenderTests(IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.spool = Path(self.enterContext(TemporaryDirectory()))
        self.recorder = Recorder(
            self.spool,
            segment_seconds=10.0,
            fsync_seconds=0.05,
            grace_seconds=0.0,
            publish=ignore,
            sealer=IdleSealer,
        )
        self.recorder.start()
        self.addCleanup(self.recorder.stop)

    def open(self, sender: Sender, connection: str = "connection") -> Stream:
        return self.recorder.open(connection, "correlation", sender)

    def records(self, stream: Stream) -> list[Record]:
        """Returns the records of the stream's journal without its ids and the time of writing."""
        self.recorder.close(stream, 1000)
        [path] = self.spool.glob(f"*/*{stream.handshake.stream_id}*")
        return [timeless(record) for record in read(path)]

    async def test_the_same_audio_gives_the_same_records(self) -> None:
        other, acs = self.open(OTHER), self.open(ACS)
        other.receive('["format", 16000]', pcm(), pcm(at=1), '["key", "5"]', "no JSON")
        acs.receive(metadata(), audio(), audio(at=1), dtmf("5"), "no JSON")
        found, expected = self.records(other), self.records(acs)
        kinds = [Handshake, Metadata, Voice, Audio, Audio, Dtmf, Counts, Closed]
        self.assertEqual([type(record) for record in found], kinds)
        self.assertEqual(found[:6], expected[:6])
        counts = found[6]
        assert isinstance(counts, Counts)
        self.assertEqual((counts.audio, counts.dtmf, counts.malformed), (2, 1, 1))
        self.assertEqual(counts.reasons, {"not a list": 1})

    async def test_a_connection_id_names_another_call_than_that_of_acs(self) -> None:
        streams = [self.open(sender) for sender in (OTHER, OTHER, ACS, ACS)]
        first, second, acs, again = (stream.handshake.call_id for stream in streams)
        self.assertEqual((first, acs), (second, again))
        self.assertNotEqual(first, acs)

    async def test_audio_before_metadata_has_the_rate_of_its_own_packet_size(self) -> None:
        stream = self.open(OTHER)
        stream.receive(pcm(ONE_SECOND_AT_8_KHZ))
        self.assertEqual([each.sample_rate for each in stream.metadata], [8_000])
        self.assertEqual(stream.speakers[ALICE].seconds, 1.0)

    async def test_the_packet_sizes_of_acs_mean_nothing_to_it(self) -> None:
        stream = self.open(OTHER)
        stream.receive(pcm(PACKET))
        self.assertEqual((stream.metadata, stream.tally.audio), ([], 0))
        self.assertEqual(stream.tally.reasons, {"audioData: audio before metadata": 1})


def timeless(record: Record) -> Record:
    """Returns the record without ids of the socket and times of this process."""
    if isinstance(record, Handshake):
        return Handshake("", "", record.call_connection_id, record.correlation_id, 0, 10.0)
    if isinstance(record, Metadata):
        return Metadata(0, 0, record.subscription_id, "PCM", record.sample_rate, 1, record.length)
    if isinstance(record, Audio):
        return Audio(record.timestamp_us, 0, record.voice, record.silent, record.pcm)
    return Dtmf(0, record.tone) if isinstance(record, Dtmf) else record

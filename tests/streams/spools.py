"""A spool of several processes, their sealers, a store that fails on demand, and assertions about
the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.db import OperationalError, connections
from django.test import TransactionTestCase, override_settings

from calls import identity
from calls.audio import codec
from calls.models import Call, LedgerEntry, Segment, Subscription
from calls.storage import AudioStorage, StoreUnreachable, audio_store, read_object
from streams.journal import spool
from streams.journal.spool import Folder
from streams.sealing.sealer import Sealer
from tests.streams.packets import Sent


class FakeStore(AudioStorage):
    """Objects in memory. `away`: every save fails; `fails_after` n: each save fails
    after n more.
    """

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.saves = 0
        self.away = False
        self.fails_after: int | None = None

    def _save(self, name: str, content: Any) -> str:
        if self.away or self.fails_after == 0:
            raise StoreUnreachable("the store is unreachable")
        if self.fails_after is not None:
            self.fails_after -= 1
        self.held[name] = content.read()
        self.saves += 1
        return name

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if name not in self.held:
            raise FileNotFoundError(name)
        return File(BytesIO(self.held[name]), name=name)

    def exists(self, name: str) -> bool:
        return name in self.held

    def delete(self, name: str) -> None:
        self.held.pop(name, None)


class Clock:
    """Seconds like those of `time.monotonic`; they pass when a test calls `forward`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class Process:
    """A recording process as its sealer and its files see it: a folder of its own, and sealing
    rounds.
    """

    def __init__(self, spool_folder: Path, clock: Clock) -> None:
        self.owned: Folder = spool.claim(spool_folder)
        self.folder = self.owned.path
        self.clock = clock
        self.sealer = Sealer(spool_folder, self.folder, clock)

    def round(self, after_seconds: float = 0.0) -> bool:
        """Makes a round of the sealer, and waits for the sweep that it may have started."""
        self.clock.forward(after_seconds)
        succeeded = self.sealer.round()
        self.sealer.sweeper.wait()
        return succeeded

    def die(self) -> None:
        """Releases the locks: the process is dead, its files stay as they are."""
        self.owned.release()


STORAGES = {**settings.STORAGES, "audio": {"BACKEND": "tests.streams.spools.FakeStore"}}


@override_settings(STORAGES=STORAGES)
class SpoolTest(TransactionTestCase):
    """A test with a spool, a recording process and an empty store."""

    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="acsmedia-spool-")
        self.addCleanup(folder.cleanup)
        self.spool = Path(folder.name)
        self.clock = Clock()
        store = audio_store()
        assert isinstance(store, FakeStore), "the settings above name it"
        store.__init__()  # type: ignore[misc] # one instance serves all tests of a class
        self.store = store
        self.process = self.new_process()

    def new_process(self) -> Process:
        return Process(self.spool, self.clock)

    @contextmanager
    def expected(self, *loggers: str) -> Iterator[None]:
        """Expects warnings in the block."""
        with self.assertLogs(loggers[0] if loggers else "streams", "WARNING"):
            yield

    def files(self) -> list[str]:
        """Returns all files in the folders of processes, without locks, by name without the
        stream's id.
        """
        found = [
            path
            for path in self.spool.rglob("*")
            if path.is_file() and path.parent.name != spool.AXES
        ]
        return sorted(
            path.name.partition(".")[2]
            for path in found
            if path.name not in {spool.LOCK, spool.SEALER_LOCK}
        )

    def recorded(self, call_id: UUID | None = None, raw_id: str = "p") -> list[tuple[int, bytes]]:
        """Returns (start, PCM) of the track from rows and store, contiguous segments joined."""
        call_id = call_id or Call.objects.get().id
        joined: list[tuple[int, bytes]] = []
        for segment in Segment.objects.filter(
            participant_id=identity.participant_id_of(call_id, raw_id)
        ).on_axis():
            samples = codec.decode(
                read_object(segment.audio_name),
                sample_count=segment.sample_count,
                sha256=segment.sha256,
            )
            pcm = samples.astype("<i2").tobytes()
            if joined and joined[-1][0] + len(joined[-1][1]) // 2 == segment.start_sample:
                joined[-1] = (joined[-1][0], joined[-1][1] + pcm)
            else:
                joined.append((segment.start_sample, pcm))
        return joined

    def assert_recorded(
        self, packets: list[Sent], *, call_id: UUID | None = None, raw_id: str = "p"
    ) -> None:
        """Checks that each sample of the packets is stored exactly once, in order."""
        recorded = b"".join(pcm for _, pcm in self.recorded(call_id, raw_id))
        self.assertTrue(
            recorded == b"".join(packet.pcm for packet in packets),
            f"{len(recorded) // 2} samples are recorded of "
            f"{sum(len(packet.pcm) // 2 for packet in packets)}",
        )

    def ledger(self, *kinds: str) -> list[tuple[str, str]]:
        """Returns (kind, reason) of the entries in order of time, of all kinds or of these."""
        entries = LedgerEntry.objects.order_by("started_at", "kind")
        return [(one.kind, one.reason) for one in entries if not kinds or one.kind in kinds]

    def subscription(self, stream_id: UUID, index: int = 0) -> Subscription:
        row: Subscription = Subscription.objects.get(
            id=identity.subscription_row_id(stream_id, index)
        )
        return row


@contextmanager
def database_away() -> Iterator[None]:
    """Makes connecting fail. Open connections are closed, like by a server that shuts down."""
    connections.close_all()
    # Not `connect`: every earlier SimpleTestCase has replaced it on the connection.
    refused = OperationalError("the server is down")
    with patch(
        "django.db.backends.base.base.BaseDatabaseWrapper.ensure_connection", side_effect=refused
    ):
        yield
    connections.close_all()

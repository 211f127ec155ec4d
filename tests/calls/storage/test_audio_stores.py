"""The four audio stores, by the same tests; S3 and Azure on real servers. From a journal to an
export with each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import soundfile
from azure.core.exceptions import ServiceRequestError
from django.conf import settings
from django.core.files.base import File
from django.test import SimpleTestCase, TransactionTestCase, override_settings, tag
from django.utils import timezone

from calls import storage
from calls.export.errors import SegmentDamaged, StoreUnavailable
from calls.export.export import Export
from calls.export.formats import FORMATS, Layout
from calls.export.plan import ExportRequest, plan_of
from calls.export.queries import recording_of
from calls.models import Call, Segment
from calls.storage import NotStored, audio_store, local, read_object, write_object
from calls.storage.object_storage import AzureAudioStorage
from streams.sealing.sealer import Sealer
from tests.object_stores import S3, Azure, ObjectStore
from tests.streams.journals import Socket, flipped
from tests.streams.packets import RATE, speech

NAME = "0a/1b/16000.flac"
AUDIO = bytes(range(256)) * 40
OWN = "0a3d8c1e-55a7-4c1b-9d0e-1f2a3b4c5d6e"
HUNG_SECONDS = 25.0
"""Two attempts of 4 s, on a machine that others use too."""


class Stores:
    """What every store does. A subclass says which store is in use."""

    class Tests(TransactionTestCase):
        def setUp(self) -> None:
            self.enterContext(self.store_in_use())
            for found in list(audio_store().objects()):
                audio_store().delete(found.name)

        def store_in_use(self) -> AbstractContextManager[Any]:
            raise NotImplementedError

        def names(self, prefix: str = "", after: str = "") -> list[str]:
            return [found.name for found in audio_store().objects(prefix, after)]

        def test_what_was_stored_is_read(self) -> None:
            write_object(NAME, AUDIO)
            self.assertEqual(read_object(NAME), AUDIO)
            self.assertEqual(audio_store().size(NAME), len(AUDIO))
            self.assertTrue(audio_store().exists(NAME))

        def test_the_same_name_replaces(self) -> None:
            write_object(NAME, AUDIO)
            write_object(NAME, AUDIO[:5])
            self.assertEqual((read_object(NAME), self.names()), (AUDIO[:5], [NAME]))

        def test_what_was_deleted_is_gone_and_may_be_deleted_again(self) -> None:
            write_object(NAME, AUDIO)
            audio_store().delete(NAME)
            audio_store().delete(NAME)
            self.assertFalse(audio_store().exists(NAME))
            self.assertEqual(self.names(), [])

        def test_what_is_not_there_is_not_found(self) -> None:
            write_object(NAME + "2", AUDIO)
            for ask in (
                read_object,
                audio_store().size,
                lambda name: audio_store().read_range(name, 0, 5),
                lambda name: audio_store().read_range(name, 5, 5),
                lambda name: audio_store().holds(name, AUDIO),
            ):
                with self.assertRaises(FileNotFoundError):
                    ask(NAME)

        def test_a_range_is_a_slice(self) -> None:
            write_object(NAME, AUDIO)
            size = len(AUDIO)
            for start, end in (
                (0, 42),
                (100, 101),
                (size - 5, size),
                (size - 5, size + 5),
                (size, size + 9),
                (7, 7),
            ):
                self.assertEqual(
                    audio_store().read_range(NAME, start, end), AUDIO[start:end], (start, end)
                )

        def test_objects_are_listed_in_order_by_prefix_and_from_a_name_on(self) -> None:
            names = ["0a/1b/1.flac", "0a/1b/2.flac", "0a/2c/1.flac", "0b/1b/1.flac"]
            for name in reversed(names):
                write_object(name, AUDIO)
            with mock.patch.object(local, "PAGE", 1):
                self.assertEqual(self.names(), names)
                self.assertEqual(self.names("0a/"), names[:3])
                self.assertEqual(self.names("0a/1b/2"), names[1:2])
                self.assertEqual(self.names("1"), [])
                self.assertEqual(self.names(after=names[1]), names[2:])
                self.assertEqual(self.names("0a/", after=names[0]), names[1:3])

        def test_a_list_knows_size_and_time(self) -> None:
            write_object(NAME, AUDIO)
            (found,) = audio_store().objects()
            self.assertEqual(found.size_bytes, len(AUDIO))
            self.assertLess(abs(timezone.now() - found.modified_at), timedelta(minutes=1))

        def test_it_holds_what_was_stored_and_nothing_else(self) -> None:
            write_object(NAME, AUDIO)
            self.assertTrue(audio_store().holds(NAME, AUDIO))
            self.assertFalse(audio_store().holds(NAME, AUDIO[:-1]))
            self.assertFalse(audio_store().holds(NAME, flipped(AUDIO, 4_000)))

        def test_a_store_that_takes_half_has_stored_nothing(self) -> None:
            for stored in (AUDIO[: len(AUDIO) // 2], flipped(AUDIO, 4_000)):
                with stores_instead(stored), self.assertRaises(NotStored):
                    write_object(NAME, AUDIO)

        def test_a_store_that_keeps_nothing_has_stored_nothing(self) -> None:
            write_object(NAME + "2", AUDIO)
            with (
                mock.patch.object(audio_store(), "_save", return_value=NAME),
                self.assertRaises(NotStored),
            ):
                write_object(NAME, AUDIO)

        def test_from_the_journal_to_the_export_every_sample_is_the_same(self) -> None:
            packets = sealed(spool := self.spool())
            self.assertEqual(list(spool.glob("*/*.journal")), [])
            call = Call.objects.get()
            self.assertEqual(self.exported(call), b"".join(packet.pcm for packet in packets))
            self.assertEqual(
                self.names(f"{call.pk}/"),
                sorted(Segment.objects.values_list("audio_name", flat=True)),
            )

        def test_no_row_comes_before_its_audio_is_whole(self) -> None:
            spool = self.spool()
            with stores_instead(AUDIO), self.assertLogs("streams.sealing.sealer", "WARNING"):
                sealed(spool)
            self.assertFalse(Segment.objects.exists())
            self.assertEqual(len(list(spool.glob("*/*.journal"))), 1, "the journal waits")
            self.assertTrue(Sealer(spool, spool / OWN).round())
            self.assertTrue(Segment.objects.exists())

        def test_a_flipped_bit_is_never_handed_out(self) -> None:
            sealed(self.spool())
            segment = Segment.objects.order_by("start_sample")[0]
            content = read_object(segment.audio_name)
            for bit in (8 * 21, 8 * len(content) // 2, 8 * len(content) - 20):
                write_object(segment.audio_name, flipped(content, bit))
                with (
                    self.assertLogs("calls.export.segments", "ERROR"),
                    self.assertRaises(SegmentDamaged) as caught,
                ):
                    self.exported(Call.objects.get())
                self.assertEqual(caught.exception.segment_id, segment.pk)

        def spool(self) -> Path:
            """A spool whose one process has its folder `OWN`."""
            spool = Path(self.enterContext(TemporaryDirectory())) / "spool"
            (spool / OWN).mkdir(parents=True)
            return spool

        def exported(self, call: Call) -> bytes:
            """The PCM of the one track of the call."""
            recording = recording_of(call)
            (participant,) = recording.segments
            plan = plan_of(recording, ExportRequest(FORMATS["wav"], Layout.MIX, participant))
            samples, rate = soundfile.read(
                BytesIO(b"".join(Export.of(plan).chunks())), dtype="int16"
            )
            self.assertEqual(rate, RATE)
            return bytes(np.asarray(samples).astype("<i2").tobytes())


class OnAServer:
    """What a store in the network does besides."""

    class Tests(Stores.Tests):
        Server: ClassVar[type[ObjectStore]]
        server: ClassVar[ObjectStore]

        @classmethod
        def setUpClass(cls) -> None:
            super().setUpClass()
            cls.server = cls.enterClassContext(cls.Server())

        def store_in_use(self) -> AbstractContextManager[Any]:
            return self.server.in_use()

        def test_a_store_that_hangs_fails_within_seconds(self) -> None:
            write_object(NAME, AUDIO)
            with self.server.paused():
                began = time.monotonic()
                with self.assertRaises(storage.StoreUnreachable):
                    write_object(NAME, AUDIO)
                self.assertLess(time.monotonic() - began, HUNG_SECONDS)
            self.assertEqual(read_object(NAME), AUDIO)

        def test_a_store_that_is_gone_is_away_and_not_empty(self) -> None:
            sealed(self.spool())
            with self.Server() as gone, gone.in_use():
                gone.kill()
                for ask in (read_object, audio_store().delete, audio_store().size, self.names):
                    with self.assertRaises(storage.StoreUnreachable):
                        ask(NAME)
                with (
                    self.assertLogs("calls.export.segments", "WARNING"),
                    self.assertRaises(StoreUnavailable),
                ):
                    self.exported(Call.objects.get())

        def test_a_place_that_does_not_exist_is_no_missing_object(self) -> None:
            entry = self.server.storage()
            place = "azure_container" if self.server.name == "azure" else "bucket_name"
            elsewhere = {**entry, "OPTIONS": {**entry["OPTIONS"], place: "elsewhere"}}
            with override_settings(STORAGES={**settings.STORAGES, "audio": elsewhere}):
                for ask in (read_object, lambda name: write_object(name, AUDIO), self.names):
                    with self.assertRaises(storage.StoreUnreachable):
                        ask(NAME)


class Files(Stores.Tests):
    @contextmanager
    def store_in_use(self) -> Iterator[None]:
        self.folder = Path(self.enterContext(TemporaryDirectory())) / "audio"
        entry = {
            "BACKEND": "calls.storage.local.DurableFileStorage",
            "OPTIONS": {"location": str(self.folder)},
        }
        with override_settings(AUDIO_STORE="files", STORAGES={**settings.STORAGES, "audio": entry}):
            yield

    def test_a_folder_that_is_not_mounted_is_away_and_not_empty(self) -> None:
        with self.assertRaises(storage.StoreUnreachable):
            read_object(NAME)

    def test_what_a_crash_left_half_written_is_written_over(self) -> None:
        with (
            mock.patch.object(Path, "replace", side_effect=KeyboardInterrupt),
            mock.patch.object(Path, "unlink"),  # nobody tidies up after a crash
            self.assertRaises(KeyboardInterrupt),
        ):
            storage.write_object(NAME, b"whole")
        storage.write_object(NAME, b"whole")
        self.assertEqual(
            [path.name for path in self.folder.rglob("*") if path.is_file()], [Path(NAME).name]
        )


class Database(Stores.Tests):
    def store_in_use(self) -> AbstractContextManager[Any]:
        entry = {"BACKEND": "calls.storage.local.DatabaseStorage"}
        return override_settings(
            AUDIO_STORE="database", STORAGES={**settings.STORAGES, "audio": entry}
        )


@tag("once")
class OnS3(OnAServer.Tests):
    Server = S3

    def test_an_etag_that_is_no_md5_is_no_obstacle(self) -> None:
        write_object(NAME, AUDIO)
        head = {"ContentLength": len(AUDIO), "ETag": '"of an encrypted object"'}
        with mock.patch.object(audio_store(), "_head", return_value=head):
            self.assertTrue(audio_store().holds(NAME, AUDIO))
            self.assertFalse(audio_store().holds(NAME, flipped(AUDIO, 9)))


@tag("once")
class OnAzure(OnAServer.Tests):
    Server = Azure


class Unreachable:
    """A transport of the Azure client that reaches nobody, and keeps what patience it was asked
    for.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def send(self, request: Any, **options: Any) -> Any:
        self.asked.append({"timeout": request.query.get("timeout"), **options})
        raise ServiceRequestError("nobody is there")

    def open(self) -> None: ...

    def close(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


class PatienceOfAzure(SimpleTestCase):
    """Its timeouts are for the whole of a body: a line that takes 250 kB/s is slow, not dead."""

    def test_is_short_for_a_segment(self) -> None:
        asked = self.asked_for(100_000)
        self.assertEqual(
            (asked["connection_timeout"], asked["read_timeout"], asked["timeout"]), (2, 4, "4")
        )

    def test_grows_with_the_object(self) -> None:
        asked = self.asked_for(20_000_000)
        self.assertEqual(
            (asked["connection_timeout"], asked["read_timeout"], asked["timeout"]), (82, 84, "84")
        )

    def asked_for(self, size: int) -> dict[str, Any]:
        transport = Unreachable()
        options = {**Azure().storage()["OPTIONS"], "client_options": {"transport": transport}}
        with self.assertRaises(storage.StoreUnreachable):
            AzureAudioStorage(**options).save(NAME, File(BytesIO(bytes(size)), name=NAME))
        self.assertEqual(len(transport.asked), 2, "one try, and one again")
        return transport.asked[-1]


@contextmanager
def stores_instead(content: bytes) -> Iterator[None]:
    """A store that takes everything and stores something else."""
    store = audio_store()
    save = store._save  # type: ignore[attr-defined]  # every Storage has one

    def broken(name: str, _content: File[Any]) -> str:
        return str(save(name, File(BytesIO(content), name=name)))

    with mock.patch.object(store, "_save", broken):
        yield


def sealed(spool: Path) -> list[Any]:
    """A call of one socket, sealed in `spool/own`; the packets."""
    packets = speech(100)
    Socket(spool / OWN).say(packets).close()
    Sealer(spool, spool / OWN).round()
    return packets

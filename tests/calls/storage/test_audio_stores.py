"""The four audio stores in the same tests, from journal to export; S3 and Azure on real servers."""

from __future__ import annotations

import os
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
HANG_SECONDS = 25.0
"""Two attempts of 4 s, on a busy machine."""


class AnyStore:
    """Tests of every store; `store_in_use` selects it."""

    class Tests(TransactionTestCase):
        def setUp(self) -> None:
            self.enterContext(self.store_in_use())
            for stored in list(audio_store().objects()):
                audio_store().delete(stored.name)

        def store_in_use(self) -> AbstractContextManager[Any]:
            raise NotImplementedError

        def names(self, prefix: str = "", after: str = "") -> list[str]:
            return [stored.name for stored in audio_store().objects(prefix, after)]

        def test_a_stored_object_is_read(self) -> None:
            write_object(NAME, AUDIO)
            self.assertEqual(read_object(NAME), AUDIO)
            self.assertEqual(audio_store().size(NAME), len(AUDIO))
            self.assertTrue(audio_store().exists(NAME))

        def test_an_object_is_replaced_under_its_name(self) -> None:
            write_object(NAME, AUDIO)
            write_object(NAME, AUDIO[:5])
            self.assertEqual((read_object(NAME), self.names()), (AUDIO[:5], [NAME]))

        def test_a_deleted_object_is_gone_and_can_be_deleted_again(self) -> None:
            write_object(NAME, AUDIO)
            audio_store().delete(NAME)
            audio_store().delete(NAME)
            self.assertFalse(audio_store().exists(NAME))
            self.assertEqual(self.names(), [])

        def test_many_objects_are_deleted_at_once_and_missing_ones_are_no_error(self) -> None:
            names = [f"{number}/1.flac" for number in range(5)]
            for name in names:
                write_object(name, AUDIO)
            audio_store().delete_all([*names[:3], "none/1.flac"])
            self.assertEqual(self.names(), names[3:])
            audio_store().delete_all([])
            self.assertEqual(self.names(), names[3:])

        def test_a_missing_object_is_not_found(self) -> None:
            write_object(NAME + "2", AUDIO)
            for access in (
                read_object,
                audio_store().size,
                lambda name: audio_store().read_range(name, 0, 5),
                lambda name: audio_store().read_range(name, 5, 5),
                lambda name: audio_store().holds(name, AUDIO),
            ):
                with self.assertRaises(FileNotFoundError):
                    access(NAME)

        def test_it_lets_us_in(self) -> None:
            audio_store().check_access()
            write_object(NAME, AUDIO)
            audio_store().check_access()

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

        def test_objects_are_listed_in_order_by_prefix_and_after_a_name(self) -> None:
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

        def test_a_list_has_size_and_time(self) -> None:
            write_object(NAME, AUDIO)
            (stored,) = audio_store().objects()
            self.assertEqual(stored.size_bytes, len(AUDIO))
            self.assertLess(abs(timezone.now() - stored.modified_at), timedelta(minutes=1))

        def test_it_holds_the_stored_bytes_and_no_others(self) -> None:
            write_object(NAME, AUDIO)
            self.assertTrue(audio_store().holds(NAME, AUDIO))
            self.assertFalse(audio_store().holds(NAME, AUDIO[:-1]))
            self.assertFalse(audio_store().holds(NAME, flipped(AUDIO, 4_000)))

        def test_a_store_that_keeps_other_bytes_is_detected(self) -> None:
            for stored in (AUDIO[: len(AUDIO) // 2], flipped(AUDIO, 4_000)):
                with storing_instead(stored), self.assertRaises(NotStored):
                    write_object(NAME, AUDIO)

        def test_a_store_that_keeps_nothing_is_detected(self) -> None:
            write_object(NAME + "2", AUDIO)
            with (
                mock.patch.object(audio_store(), "_save", return_value=NAME),
                self.assertRaises(NotStored),
            ):
                write_object(NAME, AUDIO)

        def test_every_sample_is_the_same_from_journal_to_export(self) -> None:
            packets = sealed(spool := self.spool())
            self.assertEqual(list(spool.glob("*/*.journal")), [])
            call = Call.objects.get()
            self.assertEqual(self.exported(call), b"".join(packet.pcm for packet in packets))
            self.assertEqual(
                self.names(f"{call.pk}/"),
                sorted(Segment.objects.values_list("audio_name", flat=True)),
            )

        def test_no_row_is_written_before_its_audio_is_stored(self) -> None:
            spool = self.spool()
            with storing_instead(AUDIO), self.assertLogs("streams.sealing.sealer", "WARNING"):
                sealed(spool)
            self.assertFalse(Segment.objects.exists())
            self.assertEqual(len(list(spool.glob("*/*.journal"))), 1, "the journal waits")
            self.assertTrue(Sealer(spool, spool / OWN).round())
            self.assertTrue(Segment.objects.exists())

        def test_a_flipped_bit_is_never_exported(self) -> None:
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
            """Creates a spool with the folder `OWN` of one process."""
            spool = Path(self.enterContext(TemporaryDirectory())) / "spool"
            (spool / OWN).mkdir(parents=True)
            return spool

        def exported(self, call: Call) -> bytes:
            """Returns the PCM of the only track of the call."""
            recording = recording_of(call)
            (participant,) = recording.segments
            plan = plan_of(recording, ExportRequest(FORMATS["wav"], Layout.MIX, participant))
            samples, rate = soundfile.read(
                BytesIO(b"".join(Export.of(plan).chunks())), dtype="int16"
            )
            self.assertEqual(rate, RATE)
            return bytes(np.asarray(samples).astype("<i2").tobytes())


class RemoteStore:
    """Additional tests of a store on a server."""

    class Tests(AnyStore.Tests):
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
                start = time.monotonic()
                with self.assertRaises(storage.StoreUnreachable):
                    write_object(NAME, AUDIO)
                self.assertLess(time.monotonic() - start, HANG_SECONDS)
            self.assertEqual(read_object(NAME), AUDIO)

        def test_a_stopped_store_is_unreachable_not_empty(self) -> None:
            sealed(self.spool())
            with self.Server() as stopped, stopped.in_use():
                stopped.kill()
                for access in (read_object, audio_store().delete, audio_store().size, self.names):
                    with self.assertRaises(storage.StoreUnreachable):
                        access(NAME)
                with (
                    self.assertLogs("calls.export.segments", "WARNING"),
                    self.assertRaises(StoreUnavailable),
                ):
                    self.exported(Call.objects.get())

        def test_a_missing_bucket_is_not_a_missing_object(self) -> None:
            entry = self.server.storage()
            option = "azure_container" if self.server.name == "azure" else "bucket_name"
            elsewhere = {**entry, "OPTIONS": {**entry["OPTIONS"], option: "elsewhere"}}
            with override_settings(STORAGES={**settings.STORAGES, "audio": elsewhere}):
                for access in (
                    read_object,
                    lambda name: write_object(name, AUDIO),
                    self.names,
                    audio_store().size,
                    audio_store().exists,
                    lambda name: audio_store().read_range(name, 0, 5),
                    lambda _name: audio_store().check_access(),
                ):
                    with self.assertRaisesRegex(storage.StoreUnreachable, "NoSuchBucket|Container"):
                        access(NAME)


class FilesTests(AnyStore.Tests):
    @contextmanager
    def store_in_use(self) -> Iterator[None]:
        self.folder = Path(self.enterContext(TemporaryDirectory())) / "audio"
        entry = {
            "BACKEND": "calls.storage.local.DurableFileStorage",
            "OPTIONS": {"location": str(self.folder)},
        }
        with override_settings(AUDIO_STORE="files", STORAGES={**settings.STORAGES, "audio": entry}):
            yield

    def test_a_folder_that_is_not_mounted_is_unreachable_not_empty(self) -> None:
        for access in (read_object, audio_store().size):
            with self.assertRaises(storage.StoreUnreachable):
                access(NAME)

    def test_only_the_owner_may_read_the_audio(self) -> None:
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        write_object(NAME, AUDIO)
        for path in self.folder.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_a_file_left_half_written_by_a_crash_is_overwritten(self) -> None:
        with (
            mock.patch.object(Path, "replace", side_effect=KeyboardInterrupt),
            mock.patch.object(Path, "unlink"),  # a crash leaves the partial file
            self.assertRaises(KeyboardInterrupt),
        ):
            storage.write_object(NAME, b"whole")
        storage.write_object(NAME, b"whole")
        self.assertEqual(
            [path.name for path in self.folder.rglob("*") if path.is_file()], [Path(NAME).name]
        )


class DatabaseTests(AnyStore.Tests):
    def store_in_use(self) -> AbstractContextManager[Any]:
        entry = {"BACKEND": "calls.storage.local.DatabaseStorage"}
        return override_settings(
            AUDIO_STORE="database", STORAGES={**settings.STORAGES, "audio": entry}
        )


@tag("once")
class S3Tests(RemoteStore.Tests):
    Server = S3

    def test_an_object_is_read_back_if_its_etag_is_not_an_md5(self) -> None:
        write_object(NAME, AUDIO)
        head = {"ContentLength": len(AUDIO), "ETag": '"of an encrypted object"'}
        with mock.patch.object(audio_store(), "_head", return_value=head):
            self.assertTrue(audio_store().holds(NAME, AUDIO))
            self.assertFalse(audio_store().holds(NAME, flipped(AUDIO, 9)))


@tag("once")
class AzureTests(RemoteStore.Tests):
    Server = Azure


class UnreachableTransport:
    """A transport of the Azure client that reaches no server, and records the timeouts."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def send(self, request: Any, **options: Any) -> Any:
        self.requests.append({"timeout": request.query.get("timeout"), **options})
        raise ServiceRequestError("no server")

    def open(self) -> None: ...

    def close(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


class AzureTimeoutTests(SimpleTestCase):
    """Timeouts cover the whole body: an upload at 250 kB/s is slow, not dead."""

    def test_timeouts_are_short_for_a_segment(self) -> None:
        sent = self.last_request(100_000)
        self.assertEqual(
            (sent["connection_timeout"], sent["read_timeout"], sent["timeout"]), (2, 4, "4")
        )

    def test_timeouts_grow_with_the_object(self) -> None:
        sent = self.last_request(20_000_000)
        self.assertEqual(
            (sent["connection_timeout"], sent["read_timeout"], sent["timeout"]), (82, 84, "84")
        )

    def last_request(self, size: int) -> dict[str, Any]:
        transport = UnreachableTransport()
        options = {**Azure().storage()["OPTIONS"], "client_options": {"transport": transport}}
        with self.assertRaises(storage.StoreUnreachable):
            AzureAudioStorage(**options).save(NAME, File(BytesIO(bytes(size)), name=NAME))
        self.assertEqual(len(transport.requests), 2, "one attempt and one retry")
        return transport.requests[-1]


@contextmanager
def storing_instead(content: bytes) -> Iterator[None]:
    """Makes the store accept every object and store `content` instead."""
    store = audio_store()
    save = store._save  # type: ignore[attr-defined]  # every Storage has one

    def broken(name: str, _content: File[Any]) -> str:
        return str(save(name, File(BytesIO(content), name=name)))

    with mock.patch.object(store, "_save", broken):
        yield


def sealed(spool: Path) -> list[Any]:
    """Seals a call of one socket in the folder `OWN` and returns its packets."""
    packets = speech(100)
    Socket(spool / OWN).say(packets).close()
    Sealer(spool, spool / OWN).round()
    return packets

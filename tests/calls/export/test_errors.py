"""Errors of an export: status and message of each."""

from __future__ import annotations

from unittest import TestCase
from uuid import uuid4

from calls.export.errors import (
    AuditUnavailable,
    ExportError,
    NoAudio,
    SegmentDamaged,
    StoreUnavailable,
    UnknownParticipant,
    WrongParameter,
)

SEGMENT = uuid4()


class ErrorTests(TestCase):
    def test_each_has_its_status_and_the_key_of_its_message(self) -> None:
        expected: dict[ExportError, tuple[int, str]] = {
            WrongParameter("end", "end must be later than start."): (400, "end"),
            NoAudio(): (404, "detail"),
            UnknownParticipant(): (404, "participant"),
            SegmentDamaged(SEGMENT): (500, "detail"),
            StoreUnavailable(): (503, "detail"),
            AuditUnavailable(): (503, "detail"),
        }
        self.assertEqual({type(error) for error in expected}, set(ExportError.__subclasses__()))
        for error, (status, key) in expected.items():
            with self.subTest(type(error).__name__):
                self.assertEqual((error.status, error.parameter), (status, key))
                self.assertTrue(str(error).endswith("."))

    def test_damage_names_the_segment(self) -> None:
        self.assertIn(str(SEGMENT), str(SegmentDamaged(SEGMENT)))

"""Derived ids, which never change, and kinds and labels of raw ids."""

from __future__ import annotations

from unittest import TestCase
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from calls import identity
from calls.identity import CallLink, kind_of, label_of

USER = "3d20e1de-0d5a-4c1b-9d6b-0a4d9f3c1b2a"
RAW_IDS = {
    "": "mixed",
    f"8:acs:{USER}_0000-11": "acs",
    f"8:spool:{USER}_0000-11": "acs",
    f"8:dod-acs:{USER}_0000-11": "acs",
    f"8:gcch-acs:{USER}_0000-11": "acs",
    f"8:acs:{USER}_tenant_0000-11": "teams_extension",
    "4:+15551234567": "phone",
    "4:anonymous": "phone",
    f"8:orgid:{USER}": "teams",
    f"8:dod:{USER}": "teams",
    f"8:gcch:{USER}": "teams",
    "8:teamsvisitor:abcdef012345": "teams_visitor",
    f"28:orgid:{USER}": "bot",
    f"28:{USER}": "bot",
    "8:somethingnew:1": "unknown",
    "not an id": "unknown",
}


class DerivedIds(TestCase):
    def test_ids_never_change(self) -> None:
        call = identity.call_id_of("411f0200-5f1a", UUID(int=0))
        participant = identity.participant_id_of(call, "4:+15551234567")
        self.assertEqual(
            [
                "c7908dfe-40d7-5eb2-ad53-a58e8d1f0110",
                "0a83a265-a5d1-5ef3-9893-4786482c616e",
                "8b142924-a134-5555-b045-633399271998",
                "ca664f32-744a-5929-b85a-7723ad5558be",
                "cdb61b56-70b0-58a8-8884-4364d1c30d26",
            ],
            [
                str(call),
                str(participant),
                str(identity.segment_id_of(participant, 28_726_623_545_408)),
                str(identity.subscription_row_id(UUID(int=7), 1)),
                str(identity.entry_id_of(participant, "gap", 320)),
            ],
        )

    def test_an_event_has_the_same_id_whenever_it_is_sent(self) -> None:
        source = "calling/callConnections/CC1"
        self.assertEqual(
            "3965ba2a-685d-56c0-9655-7298414b9fc0", str(identity.event_row_id(source, "e1"))
        )
        self.assertNotEqual(
            identity.event_row_id(source, "e1"), identity.event_row_id(f"{source}2", "e1")
        )

    def test_a_canary_is_known_by_its_connection_id_in_either_case(self) -> None:
        self.assertTrue(identity.is_canary("canary-1"))
        self.assertTrue(identity.is_canary("Canary-1"))
        self.assertFalse(identity.is_canary("a-canary-1"))
        self.assertFalse(identity.is_canary(""))

    def test_all_sockets_of_a_connection_are_one_call(self) -> None:
        self.assertEqual(identity.call_id_of("one", uuid4()), identity.call_id_of("one", uuid4()))
        self.assertNotEqual(
            identity.call_id_of("one", UUID(int=0)), identity.call_id_of("two", UUID(int=0))
        )

    def test_connections_of_two_senders_are_two_calls(self) -> None:
        stream = uuid4()
        acs = {identity.call_id_of(name, stream) for name in ("one", "other:one", "source:other")}
        other = {identity.call_id_of(name, stream, "other") for name in ("one", "")}
        self.assertEqual(len(acs | other), 5)
        self.assertEqual(
            identity.call_id_of("one", stream, "other"),
            identity.call_id_of("one", uuid4(), "other"),
        )

    def test_a_socket_without_a_connection_id_is_a_separate_call(self) -> None:
        stream = uuid4()
        self.assertEqual(identity.call_id_of("", stream), identity.call_id_of("", stream))
        self.assertNotEqual(identity.call_id_of("", stream), identity.call_id_of("", uuid4()))
        self.assertNotEqual(
            identity.call_id_of("", stream), identity.call_id_of(str(stream), stream)
        )


class Kinds(TestCase):
    def test_each_documented_raw_id_is_known(self) -> None:
        self.assertEqual(RAW_IDS, {raw_id: kind_of(raw_id) for raw_id in RAW_IDS})

    def test_every_kind_occurs_and_has_a_name(self) -> None:
        self.assertEqual(set(identity.KINDS), set(RAW_IDS.values()))

    @given(st.text(max_size=600))
    def test_any_text_has_a_kind_and_a_short_label(self, raw_id: str) -> None:
        self.assertIn(kind_of(raw_id), identity.KINDS)
        if not raw_id.startswith("4:"):  # a number is shown in full
            self.assertLessEqual(len(label_of(raw_id)), 40)


class Labels(TestCase):
    def test_a_label_shows_the_number_or_the_kind(self) -> None:
        labels = {
            "": "Everyone (mixed)",
            "4:+15551234567": "+15551234567",
            "4:+15551234567_123": "+15551234567",
            "4:anonymous": "Withheld number",
            f"8:acs:{USER}_0000-abcdef": "ACS user …abcdef",
            f"8:orgid:{USER}": "Teams user …3c1b2a",
            f"28:{USER}": "App or bot …3c1b2a",
            "short and unknown": "short and unknown",
            "x" * 41: "x" * 39 + "…",
        }
        self.assertEqual(labels, {raw_id: label_of(raw_id) for raw_id in labels})


class CallLinks(TestCase):
    """The chain of calls of one connection id."""

    FIRST = UUID("961fe6d3-f6d4-5198-befd-fe5b85f4bf5d")

    def test_the_first_call_keeps_its_id_and_continues_none(self) -> None:
        first = CallLink(self.FIRST)
        self.assertEqual((first.id, first.continued_from), (self.FIRST, None))

    def test_ids_of_later_calls_never_change(self) -> None:
        second = CallLink(self.FIRST).following
        self.assertEqual(second, CallLink(self.FIRST, 1))
        self.assertEqual(second.id, UUID("4a6b6857-92ad-5f91-959f-a82e126a5f83"))

    def test_each_call_continues_the_one_before_it(self) -> None:
        second = CallLink(self.FIRST).following
        self.assertEqual(second.continued_from, self.FIRST)
        self.assertEqual(second.following.continued_from, second.id)

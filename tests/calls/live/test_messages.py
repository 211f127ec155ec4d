"""The form of a call: `CallData` and REST agree. tests/streams/live/test_board.py has the board."""

from __future__ import annotations

from unittest import TestCase

from calls.live.messages import CallData, CountsData, ParticipantData, SubscriptionData
from calls.serializers import (
    CallSerializer,
    CountsSerializer,
    ParticipantSerializer,
    SubscriptionSerializer,
)


class TheFormOfACall(TestCase):
    def test_has_the_members_of_rest_in_their_order(self) -> None:
        for serializer, data in (
            (CallSerializer(), CallData),
            (ParticipantSerializer(), ParticipantData),
            (SubscriptionSerializer(), SubscriptionData),
            (CountsSerializer(), CountsData),
        ):
            with self.subTest(data.__name__):
                self.assertEqual(list(serializer.fields), list(data.__annotations__))

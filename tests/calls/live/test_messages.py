"""The form of a call: `CallData` and REST agree. tests/streams/live/test_board.py has the board."""

from __future__ import annotations

from unittest import TestCase

from calls.live.messages import (
    AlarmNews,
    CallData,
    CountsData,
    ParticipantData,
    SubscriptionData,
)
from calls.serializers import (
    ActiveAlarmSerializer,
    CallSerializer,
    CountsSerializer,
    ParticipantSerializer,
    RestCallSerializer,
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

    def test_only_rest_has_the_verdict_and_alarms_which_are_messages_of_their_own_here(
        self,
    ) -> None:
        added = ["verdict", "alarms"]
        self.assertEqual(list(RestCallSerializer().fields), [*CallData.__annotations__, *added])
        self.assertEqual({"call", *ActiveAlarmSerializer().fields}, {*AlarmNews.__annotations__})

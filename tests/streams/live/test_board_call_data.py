"""The call as the board publishes it: the same facts as in REST."""

from __future__ import annotations

from calls.live.messages import (
    CallData,
    CountsData,
    ParticipantData,
    SubscriptionData,
)
from tests.streams.live.boards import BoardTestCase
from tests.streams.streams import (
    ALICE,
    START_US,
    audio,
    close,
    dtmf,
    metadata,
    open_stream,
    participant_id,
)


class CallAsInRest(BoardTestCase):
    def test_is_that_of_rest(self) -> None:
        stream = self.stream()
        stream.receive(audio(ALICE))
        [call] = self.calls()
        [participant], [subscription] = call["participants"], call["subscriptions"]
        self.assertEqual(list(call), list(CallData.__annotations__))
        self.assertEqual(list(participant), list(ParticipantData.__annotations__))
        self.assertEqual(list(subscription), list(SubscriptionData.__annotations__))
        self.assertEqual(list(subscription["counts"]), list(CountsData.__annotations__))

    def test_has_the_facts_of_each_socket(self) -> None:
        first, second = self.stream(), self.stream(connected_at_us=START_US + 1_500_000)
        first.receive(audio(ALICE))
        second.receive(dtmf())
        [call] = self.calls()
        self.assertEqual(call["started_at"], "2022-10-03T19:16:12.925000Z")
        self.assertEqual(
            [one["connected_at"] for one in call["subscriptions"]],
            ["2022-10-03T19:16:12.925000Z", "2022-10-03T19:16:14.425000Z"],
        )
        self.assertEqual([one["counts"]["audio"] for one in call["subscriptions"]], [1, 0])
        self.assertEqual([one["counts"]["dtmf"] for one in call["subscriptions"]], [0, 1])

    def test_counts_each_subscription_of_a_socket_by_itself(self) -> None:
        stream = self.stream()
        for message in (
            audio(ALICE),
            audio(ALICE, at=1),
            metadata(24_000, "sub-2"),
            audio(ALICE, at=2),
        ):
            stream.receive(message)
        before, after = self.calls()[0]["subscriptions"]
        self.assertEqual((before["sample_rate"], before["counts"]["audio"]), (16_000, 2))
        self.assertEqual((after["sample_rate"], after["counts"]["audio"]), (24_000, 1))
        self.assertEqual(
            (before["disconnected_at"], after["disconnected_at"]), (after["connected_at"], None)
        )
        close(stream, 1000)
        before, after = self.calls()[0]["subscriptions"]
        self.assertEqual((before["close_code"], after["close_code"]), (None, 1000))

    def test_has_a_socket_without_metadata(self) -> None:
        stream = open_stream(self.folder)
        self.streams.append(stream)
        self.board.add(stream)
        [one] = self.calls()[0]["subscriptions"]
        self.assertEqual((one["sample_rate"], one["encoding"], one["length"]), (None, "", None))

    def test_sums_what_is_heard_of_a_voice_on_two_sockets(self) -> None:
        for stream in (self.stream(), self.stream()):
            stream.receive(audio(ALICE, bytes(32_000)))
        [call] = self.calls()
        [alice] = call["participants"]
        self.assertEqual((alice["id"], alice["recorded_seconds"]), (participant_id(ALICE), 2.0))
        self.assertEqual((alice["kind"], alice["label"]), ("phone", "+15551234567"))
        self.assertEqual(call["duration_seconds"], 2.0)

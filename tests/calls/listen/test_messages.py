"""Messages of listening in: the browser's binary message, the group, the lease."""

from __future__ import annotations

import struct
from unittest import TestCase
from uuid import UUID, uuid4

from channels.layers import InMemoryChannelLayer
from hypothesis import given
from hypothesis import strategies as st

from calls.listen.messages import (
    LEASE_SECONDS,
    REPEAT_SECONDS,
    AudioChunk,
    binary_of,
    end_us,
    group_of,
)

ALICE = UUID("00112233-4455-6677-8899-aabbccddeeff")
AT_US = 1_795_426_200_000_000
ARRIVED_US = AT_US + 30_000


def chunk(
    pcm: bytes = bytes(640), *, rate: int = 16_000, at_us: int = AT_US, arrived_us: int = ARRIVED_US
) -> AudioChunk:
    return {
        "participant": str(ALICE),
        "raw_id": "4:+15551234567",
        "rate": rate,
        "at_us": at_us,
        "arrived_us": arrived_us,
        "pcm": pcm,
    }


class BinaryTests(TestCase):
    def test_the_layout_is_the_one_in_the_documentation(self) -> None:
        message = binary_of(chunk(b"\x01\x02\x03\x04", rate=24_000), ARRIVED_US + 258_999)
        self.assertEqual(message[:2], b"\x01\x00")
        self.assertEqual(message[2:4], b"\x02\x01")  # 258 ms, little endian
        self.assertEqual(message[4:8], b"\xc0\x5d\x00\x00")  # 24,000 Hz
        self.assertEqual(int.from_bytes(message[8:16], "little"), AT_US)
        self.assertEqual(message[16:32].hex(), "00112233445566778899aabbccddeeff")
        self.assertEqual(message[32:], b"\x01\x02\x03\x04")

    @given(st.binary(max_size=100), st.integers(1, 2**32 - 1), st.integers(0, 2**63))
    def test_everything_in_it_can_be_read_back(self, pcm: bytes, rate: int, at_us: int) -> None:
        message = binary_of(chunk(pcm, rate=rate, at_us=at_us), ARRIVED_US)
        self.assertEqual(
            struct.unpack(f"<BBHIQ16s{len(pcm)}s", message),
            (1, 0, 0, rate, at_us, ALICE.bytes, pcm),
        )

    @given(st.integers(-(2**62), 2**62))
    def test_the_age_fits_16_bits_although_clocks_differ_or_a_chunk_waits(self, age: int) -> None:
        (age_ms,) = struct.unpack_from("<H", binary_of(chunk(), ARRIVED_US + age), 2)
        if age < 0:
            self.assertEqual(age_ms, 0)
        elif age >= 65_536_000:
            self.assertEqual(age_ms, 65_535)
        else:
            self.assertEqual(age_ms, age // 1000)

    def test_a_timestamp_before_the_epoch_is_sent_as_the_epoch(self) -> None:
        self.assertEqual(binary_of(chunk(at_us=-1), ARRIVED_US)[8:16], bytes(8))


class ChunkTests(TestCase):
    def test_the_end_is_the_time_behind_the_last_sample(self) -> None:
        self.assertEqual(end_us(chunk(bytes(640))), AT_US + 20_000)
        self.assertEqual(end_us(chunk(bytes(960), rate=24_000)), AT_US + 20_000)
        self.assertEqual(end_us(chunk(b"")), AT_US)

    def test_the_end_is_rounded_down_to_the_microsecond(self) -> None:
        self.assertEqual(end_us(chunk(bytes(2), rate=24_000)), AT_US + 41)  # 41.67


class GroupTests(TestCase):
    def test_each_call_has_a_group_whose_name_the_channel_layer_accepts(self) -> None:
        first, second = group_of(str(uuid4())), group_of(str(uuid4()))
        self.assertNotEqual(first, second)
        for name in (first, second):
            InMemoryChannelLayer().require_valid_group_name(name)


class LeaseTests(TestCase):
    def test_a_request_survives_the_loss_of_one_of_its_repetitions(self) -> None:
        self.assertGreater(LEASE_SECONDS, 2 * REPEAT_SECONDS)

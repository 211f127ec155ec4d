"""Addresses that are public, and those inside a network."""

from __future__ import annotations

from ipaddress import IPv4Address
from unittest import TestCase

from hypothesis import given
from hypothesis.strategies import integers, ip_addresses

from calls.notifications.webhooks.addresses import is_public

PUBLIC = (
    *("8.8.8.8", "93.184.216.34", "1.1.1.1", "192.0.1.1", "100.63.255.255", "100.128.0.1"),
    *("2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001:81b::200e"),
    *("::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
)
NOT_PUBLIC = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "169.254.1.1", "100.64.0.1", "100.100.100.200"),
    *("192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("2001:db8::1", "2001::1", "3fff::1", "100::1", "4000::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:168.63.129.16"),
    *("64:ff9b::a00:1", "64:ff9b::7f00:1", "2002:7f00:1::1", "2002:a00:1::1"),
    *("", "localhost", "127.1", "0177.0.0.1", "1.2.3.4.5"),
)


class Addresses(TestCase):
    def test_of_the_internet_are_public(self) -> None:
        for address in PUBLIC:
            with self.subTest(address):
                self.assertTrue(is_public(address))

    def test_inside_a_network_or_of_a_cloud_are_not(self) -> None:
        for address in NOT_PUBLIC:
            with self.subTest(address):
                self.assertFalse(is_public(address))

    @given(ip_addresses(v=4))
    def test_mapped_into_ipv6_are_judged_alike(self, address: IPv4Address) -> None:
        self.assertEqual(is_public(f"::ffff:{address}"), is_public(str(address)))
        self.assertEqual(
            is_public(f"64:ff9b::{int(address) >> 16:x}:{int(address) & 0xFFFF:x}"),
            is_public(str(address)),
        )

    @given(integers(0, 2**24 - 1))
    def test_of_loopback_and_private_networks_are_never_public(self, host: int) -> None:
        for network in ("127.0.0.0", "10.0.0.0", "0.0.0.0"):
            self.assertFalse(is_public(str(IPv4Address(int(IPv4Address(network)) + host))))

"""Addresses inside this network, which a webhook may not reach. PURE.

Otherwise anybody who may add an endpoint could let the server send requests to services that only
it can reach, such as databases and the metadata service of a cloud (SSRF).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_OF_CLOUDS = frozenset({IPv4Address("168.63.129.16")})
"""Azure's virtual public address: DHCP, DNS and secrets of the virtual machine."""

_V4_FORBIDDEN = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598); Alibaba's metadata service
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
    )
]
_V6_FORBIDDEN = [
    ip_network(text)
    for text in (
        "2001::/23",  # protocol assignments, with Teredo
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet. Text that is no address is not."""
    try:
        ip = ip_address(address.partition("%")[0])  # without a zone
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        return _is_public_v6(ip)
    return _is_public_v4(ip)


def _is_public_v4(ip: IPv4Address) -> bool:
    # link-local addresses (metadata services at 169.254.169.254) are among the private ones
    is_special = ip.is_private or ip.is_multicast or ip.is_reserved or ip.is_loopback
    return not is_special and ip not in _OF_CLOUDS and not any(ip in net for net in _V4_FORBIDDEN)


def _is_public_v6(ip: IPv6Address) -> bool:
    if embedded := _embedded(ip):
        return _is_public_v4(embedded)
    return ip in _GLOBAL_UNICAST and not any(ip in net for net in _V6_FORBIDDEN)


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """Returns the IPv4 address that a mapped, 6to4 or NAT64 address leads to."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour

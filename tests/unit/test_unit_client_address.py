"""Where a request comes from: what our own proxies saw, whatever the caller says of itself."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client_address import UNKNOWN, Client, client_of

PEER = "192.0.2.9"
IPV4, IPV6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
SAID = st.lists(
    st.ip_addresses().map(str) | st.text(st.characters(codec="latin-1", exclude_characters=",")), max_size=5
)


def seen(*headers: str, hops: int, peer: str | None = PEER) -> Client:
    """The caller of a request with these `X-Forwarded-For`."""
    found = [(b"x-forwarded-for", value.encode("latin-1")) for value in headers]
    scope = {"type": "http", "client": (peer, 1234) if peer else None, "headers": [(b"host", b"here"), *found]}
    return client_of(scope, trusted_hops=hops)


@given(SAID, IPV4 | IPV6, st.lists(IPV4, max_size=3))
def test_what_stands_left_of_our_hops_changes_nothing(
    said: list[str], caller: ipaddress.IPv4Address, proxies: list[ipaddress.IPv4Address]
) -> None:
    """One header, several headers, other spellings: the caller is whom our outermost proxy saw."""
    ours = [str(address) for address in (caller, *proxies)]
    wanted = seen(",".join(ours), hops=len(ours))
    assert seen(", ".join([*said, *ours]), hops=len(ours)) == wanted
    assert seen(*said, *ours, hops=len(ours)) == wanted
    assert seen(*said, " , ".join(ours), hops=len(ours)) == wanted


@given(SAID)
def test_without_a_proxy_the_header_is_not_read(said: list[str]) -> None:
    """The peer is the caller."""
    assert seen(*said, hops=0) == Client(f"{PEER}/32", "192.0.2.0/24")


@given(st.integers(1, 10), st.data())
def test_too_few_places_are_not_from_our_proxies(hops: int, data: st.DataObject) -> None:
    """Then the peer itself is counted: somebody reached us past a proxy."""
    said = data.draw(st.lists(IPV4.map(str), min_size=1, max_size=hops - 1) if hops > 1 else st.just([]))
    assert seen(*said, hops=hops) == seen(hops=0)


@given(IPV6, st.integers(0, 2**64 - 1), st.integers(0, 2**80 - 1))
def test_a_whole_64_is_one_caller(address: ipaddress.IPv6Address, low: int, lower: int) -> None:
    """And a whole /48 is one network."""
    first = seen(str(address), hops=1)
    mine = ipaddress.IPv6Address(int(address) >> 64 << 64 | low)
    if mine.ipv4_mapped or address.ipv4_mapped or address.sixtofour:
        return
    assert seen(str(mine), hops=1) == first
    near = ipaddress.IPv6Address(int(address) >> 80 << 80 | lower)
    assert near.ipv4_mapped or seen(str(near), hops=1).network == first.network
    assert first.limit_key.endswith("/64")


@given(IPV4, IPV4)
def test_an_ipv4_address_is_one_caller(address: ipaddress.IPv4Address, other: ipaddress.IPv4Address) -> None:
    """Also in its IPv6 spelling, and as the network that 6to4 makes of it; another address is another caller."""
    found = seen(str(address), hops=1)
    assert seen(f"::ffff:{address}", hops=1) == seen(f"::FFFF:{address}", hops=1) == found
    assert seen(hops=0, peer=f"::ffff:{address}") == found
    sixtofour = ipaddress.IPv6Address(0x2002 << 112 | int(address) << 80 | 1)
    assert seen(str(sixtofour), hops=1) == found
    assert (seen(str(other), hops=1).limit_key == found.limit_key) == (address == other)


@given(IPV4 | IPV6)
def test_what_is_stored_is_no_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """The network around it has at least 256 addresses, of IPv6 2**80."""
    network = seen(str(address), hops=1).network
    assert network and ipaddress.ip_network(network).num_addresses in (2**8, 2**80)


@pytest.mark.parametrize(
    "text",
    ["", " ", "junk", "192.0.2.1:x", "[2001:db8::1", "[junk]:80", "192.0.2.1/32", "1", "::g", "\xff", "%eth0"],
)
def test_junk_is_one_caller(text: str) -> None:
    """What is no address, also where a proxy of ours should have written one."""
    assert seen(text, hops=1) == Client(UNKNOWN, None)
    assert seen(hops=0, peer=text or None) == Client(UNKNOWN, None)


def test_a_zone_makes_no_other_caller() -> None:
    """`fe80::1%eth0` and any other zone are the same."""
    assert seen("fe80::1%eth0", hops=1) == seen("fe80::1%1", hops=1) == seen("fe80::1", hops=1)


def test_who_it_is_is_not_shown() -> None:
    """Printed, a caller shows the network alone."""
    assert "192.0.2.9" not in f"{seen(hops=0)!r}"


@pytest.mark.parametrize("text", ["192.0.2.1:80", "[2001:db8::1]:443", "[2001:db8::1]"])
def test_a_port_beside_the_address_does_not_count(text: str) -> None:
    """Some proxies append it: each port would be another caller, or all be nobody."""
    bare = text.removesuffix(":80").removesuffix(":443").strip("[]")
    assert seen(bare, hops=1) == seen(text, hops=1) and seen(text, hops=1).network

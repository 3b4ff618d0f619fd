"""Where a request comes from: the address that our outermost proxy saw, and what counts as one caller."""

import ipaddress
import re
from dataclasses import dataclass, field

from starlette.types import Scope

FORWARDED = b"x-forwarded-for"
UNKNOWN = "unknown"
_SITES = {4: 24, 6: 48}


@dataclass(frozen=True)
class Client:
    """Who is on the other end."""

    limit_key: str = field(repr=False)
    """What limits count by: an IPv4 address, or the /64 that an IPv6 customer is given."""
    network: str | None
    """What is stored: the /24 or /48 around it. Enough to see from where, too little to see who."""


def client_of(scope: Scope, *, trusted_hops: int) -> Client:
    """The caller: the peer, or, behind `trusted_hops` proxies of ours, so many places from the right of their header.

    What stands further left is the caller's own invention. Fewer places than we have
    proxies, or no header, came past them: there, the peer is the caller.
    """
    peer = scope["client"][0] if scope.get("client") else UNKNOWN
    if not trusted_hops:
        return _client(peer)
    given = [one for name, value in scope["headers"] if name == FORWARDED for one in value.decode("latin-1").split(",")]
    return _client(given[-trusted_hops].strip() if len(given) >= trusted_hops else peer)


def _client(text: str) -> Client:
    bare = re.sub(r"^\[(.*)\](?::\d+)?$|^([\d.]+):\d+$", r"\1\2", text)  # some proxies append the port
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return Client(UNKNOWN, None)
    if isinstance(address, ipaddress.IPv6Address):  # of a 6to4 address, the /48 is a whole IPv4 address (RFC 3056)
        address = address.ipv4_mapped or address.sixtofour or address
    counted = ipaddress.ip_network((address, 32 if address.version == 4 else 64), strict=False)
    stored = ipaddress.ip_network((address, _SITES[address.version]), strict=False)
    return Client(str(counted), str(stored))

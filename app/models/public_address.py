"""Addresses that a caller names for a provider to fetch or to show: in the open, and nobody's login in them."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

LONGEST = 2000
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_HIDDEN = ("localhost", "local", "internal", "localdomain", "lan", "home", "corp", "intranet", "onion", "arpa")
"""Names under these lead nowhere that a provider could reach, or to where it must not."""


def public_https(url: str) -> str:
    """The address. Raises `ValueError` for one that is not public https.

    We never fetch it: this keeps a caller from pointing the provider at somebody's private network in our name.
    """
    return _public(url, ("https",))


def public_http(url: str) -> str:
    """The same of an address that people follow, which may be plain http."""
    return _public(url, ("https", "http"))


def _public(url: str, schemes: Sequence[str]) -> str:
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise ValueError("must be an address that can be read") from None
    if parts.scheme not in schemes or not host:
        raise ValueError(f"must begin with {' or '.join(f'{one}://' for one in schemes)} and name a host")
    if "@" in parts.netloc:
        raise ValueError("must hold no login")
    if any(ord(sign) <= 32 or ord(sign) == 127 or sign == "\\" for sign in url):
        raise ValueError("must hold no spaces, control characters or backslashes")
    if not _is_public(host):
        raise ValueError("must name a public host")
    return url


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    try:
        labels = host.encode("idna").decode().lower().split(".")
    except UnicodeError:
        return False
    named = all(_LABEL.fullmatch(label) for label in labels)
    numeric = labels[-1].isdigit() or labels[-1].startswith("0x")  # an address in another spelling
    return named and not numeric and len(labels) > 1 and labels[-1] not in _HIDDEN

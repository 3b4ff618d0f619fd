"""The private half of a key ring. Only workers import this: the API holds nothing that can open a token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from app.services.vault.ring import SUITE, BadRing, CannotUnwrap, check_private, raw_keys, read_ring_file


@dataclass(frozen=True)
class PrivateRing:
    """Unwraps data keys. A process that was started as the API never holds one."""

    keys: Mapping[str, X25519PrivateKey] = field(repr=False)

    def unwrap(self, key_id: str, wrapped: bytes, *, binding: bytes) -> bytes:
        """The data key. Raises `CannotUnwrap`."""
        try:
            return SUITE.decrypt(wrapped, self.keys[key_id], binding)
        except (KeyError, InvalidTag, ValueError) as exc:
            raise CannotUnwrap from exc


def load_private(path: Path) -> PrivateRing:
    """Read the private half. Raises `BadRing`, also when others may read the file."""
    ring = read_ring_file(path)
    check_private(path)
    if "current" in ring:
        raise BadRing(f"{path} is a public key ring, not a private one")
    try:
        return PrivateRing({key_id: X25519PrivateKey.from_private_bytes(raw) for key_id, raw in raw_keys(ring).items()})
    except (ValueError, TypeError, AttributeError, KeyError) as exc:
        raise BadRing(f"{path} is not a private key ring") from exc

"""Key rings: versioned HPKE key pairs (RFC 9180, X25519, HKDF-SHA256, AES-256-GCM).

The public half wraps data keys and is all that the API is given. The private half unwraps them; only workers have it.
A ring file is JSON: `{"current": "k1", "keys": {"k1": "<base64 of 32 bytes>"}}`; the private one has no `current`.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class BadRing(Exception):
    """A ring file that is missing or cannot be read. Its text names the file, never a key."""


class CannotUnwrap(Exception):
    """The data key does not open with this ring and this binding."""


@dataclass(frozen=True)
class PublicRing:
    """Wraps data keys."""

    current: str
    keys: Mapping[str, X25519PublicKey] = field(repr=False)

    def wrap(self, data_key: bytes, *, binding: bytes) -> tuple[str, bytes]:
        """The id of the key used, and the wrapped data key, which opens only with the same `binding`."""
        return self.current, SUITE.encrypt(data_key, self.keys[self.current], binding)


def load_public(path: Path) -> PublicRing:
    """Read the public half. Raises `BadRing`."""
    ring = read_ring_file(path)
    try:
        keys = {key_id: X25519PublicKey.from_public_bytes(raw) for key_id, raw in raw_keys(ring).items()}
        current = str(ring["current"])
        return PublicRing(current, {current: keys[current]} | keys)
    except (KeyError, ValueError, TypeError, AttributeError) as exc:
        raise BadRing(f"{path} is not a public key ring") from exc


def read_ring_file(path: Path) -> dict[str, object]:
    """A ring file's JSON. Raises `BadRing`."""
    try:
        ring = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as exc:
        raise BadRing(f"{path} cannot be read as a key ring") from exc
    if not isinstance(ring, dict):
        raise BadRing(f"{path} is not a key ring")
    return ring


def check_private(path: Path) -> None:
    """Raise `BadRing` when others may read the file."""
    if path.stat().st_mode & 0o077:
        raise BadRing(f"{path} may be read by others: its mode must be 0600")


def raw_keys(ring: dict[str, object]) -> dict[str, bytes]:
    """The keys of a ring by their ids, 32 bytes each. Raises `ValueError`, `KeyError`."""
    keys = ring["keys"]
    if not isinstance(keys, dict) or not keys:
        raise ValueError("no keys")
    return {str(key_id): base64.b64decode(text, validate=True) for key_id, text in keys.items()}


def new_ring() -> tuple[dict[str, object], dict[str, object]]:
    """A public and a private ring of one fresh key, as their files hold them."""
    private = X25519PrivateKey.generate()
    key_id = "k1"
    public_text = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    private_text = base64.b64encode(private.private_bytes_raw()).decode()
    return {"current": key_id, "keys": {key_id: public_text}}, {"keys": {key_id: private_text}}

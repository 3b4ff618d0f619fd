"""Key rings: versioned HPKE key pairs (RFC 9180, X25519, HKDF-SHA256, AES-256-GCM).

The public half wraps data keys and is all that the API is given. The private half unwraps them; only workers have it.
A ring file is JSON: `{"current": "k1", "keys": {"k1": "<base64 of 32 bytes>"}}`; the private one has no `current`.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from app.services.vault.ring_errors import BadRing as BadRing
from app.services.vault.ring_errors import CannotUnwrap as CannotUnwrap
from app.services.vault.ring_errors import RingUnavailable as RingUnavailable
from app.services.vault.watched import Watched

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
Kind = Literal["local", "aws-kms", "accounts"]


class Bound(Protocol):
    """Whose secret it is. A ring binds the wrapped data key to it, in the form that it knows."""

    def additional_data(self) -> bytes:
        """The same bytes for the same fields, and for no others."""

    def context(self) -> dict[str, str]:
        """The same as names and ids, none of them secret: AWS logs them."""


class PublicRing(Protocol):
    """A ring that seals providers' tokens: all that the API is given."""

    @property
    def kind(self) -> Kind:
        """Which kind of ring it is."""

    @property
    def current(self) -> str:
        """The id of the key that new secrets are sealed with."""

    async def wrap(self, data_key: bytes, *, binding: Bound) -> tuple[str, bytes]:
        """The id of the key used, and the wrapped data key. Raises `RingUnavailable`."""

    async def close(self) -> None:
        """Let go of what it holds open."""


@dataclass(frozen=True)
class LocalPublicRing:
    """Wraps data keys for the private half of the same key."""

    current: str
    keys: Mapping[str, X25519PublicKey] = field(repr=False)

    async def wrap(self, data_key: bytes, *, binding: Bound) -> tuple[str, bytes]:
        """The id of the key used, and the wrapped data key, which opens only with the same `binding`."""
        return self.current, SUITE.encrypt(data_key, self.keys[self.current], binding.additional_data())


class WatchedPublicRing:
    """The public half in a file, which may change."""

    kind: Kind = "local"

    def __init__(self, path: Path) -> None:
        """Read it. Raises `BadRing`."""
        self.file = Watched(path, load_public)

    @property
    def current(self) -> str:
        """The id of the key that new secrets are sealed with."""
        return self.file.held().current

    async def wrap(self, data_key: bytes, *, binding: Bound) -> tuple[str, bytes]:
        """The id of the key used, and the wrapped data key, which opens only with the same `binding`."""
        return await self.file.held().wrap(data_key, binding=binding)

    async def close(self) -> None:
        """Nothing is open."""


def load_public(path: Path) -> LocalPublicRing:
    """Read the public half. Raises `BadRing`."""
    ring = read_ring_file(path)
    try:
        keys = {key_id: X25519PublicKey.from_public_bytes(raw) for key_id, raw in raw_keys(ring).items()}
        current = str(ring["current"])
        return LocalPublicRing(current, {current: keys[current]} | keys)
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


def new_key_pair() -> tuple[str, str]:
    """A fresh public and private key, as ring files hold them."""
    private = X25519PrivateKey.generate()
    public_text = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    return public_text, base64.b64encode(private.private_bytes_raw()).decode()


def new_ring() -> tuple[dict[str, object], dict[str, object]]:
    """A public and a private ring of one fresh key, as their files hold them."""
    public, private = new_key_pair()
    return {"current": "k1", "keys": {"k1": public}}, {"keys": {"k1": private}}

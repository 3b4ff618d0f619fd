"""The private half of a key ring. Only workers import this: the API holds nothing that can open a token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from app.services.vault.ring import SUITE, BadRing, Bound, CannotUnwrap, check_private, raw_keys, read_ring_file
from app.services.vault.watched import Watched
from app.settings import WorkerSettings


class PrivateRing(Protocol):
    """A ring that opens providers' tokens. A process that was started as the API never holds one."""

    def key_ids(self) -> list[str]:
        """The keys that it opens with."""

    async def unwrap(self, key_id: str, wrapped: bytes, *, binding: Bound) -> bytes:
        """The data key. Raises `CannotUnwrap`, `RingUnavailable`."""

    async def close(self) -> None:
        """Let go of what it holds open."""


@dataclass(frozen=True)
class LocalPrivateRing:
    """Unwraps data keys."""

    keys: Mapping[str, X25519PrivateKey] = field(repr=False)

    async def unwrap(self, key_id: str, wrapped: bytes, *, binding: Bound) -> bytes:
        """The data key. Raises `CannotUnwrap`."""
        try:
            return SUITE.decrypt(wrapped, self.keys[key_id], binding.additional_data())
        except (KeyError, InvalidTag, ValueError) as exc:
            raise CannotUnwrap from exc


class WatchedPrivateRing:
    """The private half in a file, which may change."""

    def __init__(self, path: Path) -> None:
        """Read it. Raises `BadRing`, also when others may read the file."""
        self.file = Watched(path, load_private)

    def key_ids(self) -> list[str]:
        """The keys that it opens with."""
        return sorted(self.file.held().keys)

    async def unwrap(self, key_id: str, wrapped: bytes, *, binding: Bound) -> bytes:
        """The data key. A key that we do not know may have come into the file just now. Raises `CannotUnwrap`."""
        held = self.file.held()
        ring = held if key_id in held.keys else self.file.fresh()
        return await ring.unwrap(key_id, wrapped, binding=binding)

    async def close(self) -> None:
        """Nothing is open."""


def open_private_ring(settings: WorkerSettings) -> PrivateRing:
    """The ring that the settings choose. Raises `BadRing`."""
    file = settings.vault_private_ring_file
    local = WatchedPrivateRing(file) if file else None
    if settings.vault_ring == "aws-kms":
        from app.clients.kms import Kms  # botocore is large, and a local ring does without
        from app.services.vault.kms_private_ring import KmsPrivateRing

        kms = Kms(region=settings.kms_in, endpoint_url=settings.kms_endpoint_url)
        return KmsPrivateRing(kms, settings.kms_keys, local)
    assert local, "the settings refuse a local ring without its file"
    return local


def load_private(path: Path) -> LocalPrivateRing:
    """Read the private half. Raises `BadRing`, also when others may read the file."""
    ring = read_ring_file(path)
    check_private(path)
    if "current" in ring:
        raise BadRing(f"{path} is a public key ring, not a private one")
    try:
        keys = {key_id: X25519PrivateKey.from_private_bytes(raw) for key_id, raw in raw_keys(ring).items()}
        return LocalPrivateRing(keys)
    except (ValueError, TypeError, AttributeError, KeyError) as exc:
        raise BadRing(f"{path} is not a private key ring") from exc

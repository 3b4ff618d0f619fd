"""The ring of people's own secrets (seeds of second factors): symmetric, and the one ring that the API may open.

A ring file is JSON: `{"current": "a1", "keys": {"a1": "<base64 of 32 bytes>"}}`. Keys are only ever added: what is
sealed names the key that wraps it.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.services.vault.ring import BadRing, Bound, CannotUnwrap, check_private, raw_keys, read_ring_file

NONCE_BYTES = 12


@dataclass(frozen=True)
class AccountRing:
    """Wraps and unwraps data keys with AES-256-GCM."""

    current: str
    keys: Mapping[str, AESGCM] = field(repr=False)

    async def wrap(self, data_key: bytes, *, binding: Bound) -> tuple[str, bytes]:
        """The id of the key used, and the wrapped data key, which opens only with the same `binding`."""
        nonce = os.urandom(NONCE_BYTES)
        return self.current, nonce + self.keys[self.current].encrypt(nonce, data_key, binding.additional_data())

    async def unwrap(self, key_id: str, wrapped: bytes, *, binding: Bound) -> bytes:
        """The data key. Raises `CannotUnwrap`."""
        try:
            nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
            return self.keys[key_id].decrypt(nonce, sealed, binding.additional_data())
        except (KeyError, InvalidTag, ValueError) as exc:
            raise CannotUnwrap from exc


def load_account_ring(path: Path) -> AccountRing:
    """Read the ring. Raises `BadRing`, also when others may read the file."""
    ring = read_ring_file(path)
    check_private(path)
    try:
        keys = {key_id: AESGCM(raw) for key_id, raw in raw_keys(ring).items() if len(raw) == 32}
        current = str(ring["current"])
        return AccountRing(current, {current: keys[current]} | keys)
    except (KeyError, ValueError, TypeError, AttributeError) as exc:
        raise BadRing(f"{path} is not a ring of accounts' keys") from exc


def new_account_ring() -> dict[str, object]:
    """A ring of one fresh key, as its file holds it."""
    return {"current": "a1", "keys": {"a1": base64.b64encode(os.urandom(32)).decode()}}

"""One sealed secret: AES-256-GCM under a data key of its own, which the ring wraps.

The additional data bind version, label, connection, provider, purpose and record, each with its length, so that no
part of an envelope can be moved to another record. A commitment (HKDF of the data key) is checked before anything is
decrypted, so that one ciphertext cannot open under two keys.
"""

import os
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from app.services.vault.ring import PublicRing

VERSION = 1
NONCE_BYTES = 12


@dataclass(frozen=True)
class Binding:
    """Whose secret it is, and what for."""

    secret_id: str
    label_id: str
    connection_id: str
    provider: str
    purpose: str

    def additional_data(self) -> bytes:
        """The same bytes for the same fields, and for no others."""
        fields = (self.secret_id, self.label_id, self.connection_id, self.provider, self.purpose)
        parts = [f"soundops-vault-v{VERSION}".encode(), *(field.encode() for field in fields)]
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def seal(ring: PublicRing, secret: str, binding: Binding) -> dict[str, Any]:
    """An envelope, as it is stored."""
    data_key, nonce, bound = os.urandom(32), os.urandom(NONCE_BYTES), binding.additional_data()
    key_id, wrapped = ring.wrap(data_key, binding=bound)
    return {
        "v": VERSION,
        "key_id": key_id,
        "wrapped_key": wrapped,
        "nonce": nonce,
        "commitment": commitment_of(data_key),
        "ciphertext": AESGCM(data_key).encrypt(nonce, secret.encode(), bound),
    }


def commitment_of(data_key: bytes) -> bytes:
    """What a data key is known by before anything is decrypted with it."""
    return HKDFExpand(SHA256(), 32, b"soundops-vault-commitment").derive(data_key)

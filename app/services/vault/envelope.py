"""One sealed secret: AES-256-GCM under a data key of its own, which the ring wraps.

The additional data bind version, label, connection, provider, purpose and record, each with its length, so that no
part of an envelope can be moved to another record. A commitment (HKDF of the data key) is checked before anything is
decrypted, so that one ciphertext cannot open under two keys.
"""

import hmac
import os
from dataclasses import dataclass
from typing import Any, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from app.services.vault.ring import CannotUnwrap, PrivateRing, PublicRing

VERSION = 1
NONCE_BYTES = 12


class SealBroken(Exception):
    """The envelope does not open: a changed byte, another record's, or a key that is not in the ring. Always this."""


class Opened:
    """A secret in the clear, for the one function that uses it. It cannot be printed, copied or pickled."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self.__value

    def __repr__(self) -> str:
        return "Opened(**********)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an opened secret stays where it was opened")


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
        "commitment": _commitment(data_key),
        "ciphertext": AESGCM(data_key).encrypt(nonce, secret.encode(), bound),
    }


def open_envelope(ring: PrivateRing, envelope: dict[str, Any], binding: Binding) -> Opened:
    """The secret. Raises `SealBroken`, whatever is wrong."""
    bound = binding.additional_data()
    try:
        if envelope["v"] != VERSION:
            raise SealBroken
        data_key = ring.unwrap(envelope["key_id"], bytes(envelope["wrapped_key"]), binding=bound)
        if not hmac.compare_digest(_commitment(data_key), bytes(envelope["commitment"])):
            raise SealBroken
        plain = AESGCM(data_key).decrypt(bytes(envelope["nonce"]), bytes(envelope["ciphertext"]), bound)
        return Opened(plain.decode())
    except (KeyError, TypeError, ValueError, InvalidTag, CannotUnwrap):
        raise SealBroken from None


def _commitment(data_key: bytes) -> bytes:
    return HKDFExpand(SHA256(), 32, b"soundops-vault-commitment").derive(data_key)

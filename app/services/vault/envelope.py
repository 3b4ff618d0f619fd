"""One sealed secret: AES-256-GCM under a data key of its own, which the ring wraps.

The additional data bind version, label, connection, provider, purpose and record, each with its length, so that no
part of an envelope can be moved to another record. A commitment (HKDF of the data key) is checked before anything is
decrypted, so that one ciphertext cannot open under two keys.
"""

import hmac
import os
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from app.services.vault.ring import Bound, CannotUnwrap

VERSION = 1
NONCE_BYTES = 12


class SealBroken(Exception):
    """The envelope does not open: a changed byte, another record's, or a key that is not in the ring. Always this."""


class Wraps(Protocol):
    """A ring that wraps data keys."""

    async def wrap(self, data_key: bytes, *, binding: Bound) -> tuple[str, bytes]:
        """The id of the key used, and the wrapped data key. Raises `RingUnavailable`."""


class Unwraps(Protocol):
    """A ring that unwraps data keys."""

    async def unwrap(self, key_id: str, wrapped: bytes, *, binding: Bound) -> bytes:
        """The data key. Raises `CannotUnwrap`, `RingUnavailable`."""


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
        return _with_lengths(f"soundops-vault-v{VERSION}", *fields)

    def context(self) -> dict[str, str]:
        """The same as names and ids, none of them secret."""
        return {"app": f"soundops-vault-v{VERSION}"} | asdict(self)


@dataclass(frozen=True)
class AccountBinding:
    """Which person's secret it is, and what for."""

    user_id: str
    purpose: str

    def additional_data(self) -> bytes:
        """The same bytes for the same fields, and for no others; never those of a `Binding`."""
        return _with_lengths(f"soundops-account-v{VERSION}", self.user_id, self.purpose)

    def context(self) -> dict[str, str]:
        """The same as names and ids, none of them secret."""
        return {"app": f"soundops-account-v{VERSION}"} | asdict(self)


@dataclass(frozen=True)
class DataKey:
    """A fresh data key, wrapped already: what it seals needs the ring no more."""

    key_id: str
    wrapped: bytes
    raw: bytes = field(repr=False)


async def new_data_key(ring: Wraps, binding: Binding | AccountBinding) -> DataKey:
    """A data key for one secret. Raises `RingUnavailable`."""
    raw = os.urandom(32)
    key_id, wrapped = await ring.wrap(raw, binding=binding)
    return DataKey(key_id, wrapped, raw)


async def seal(ring: Wraps, secret: str, binding: Binding | AccountBinding) -> dict[str, Any]:
    """An envelope, as it is stored. Raises `RingUnavailable`."""
    return seal_with(await new_data_key(ring, binding), secret, binding)


def seal_with(data_key: DataKey, secret: str, binding: Binding | AccountBinding) -> dict[str, Any]:
    """The envelope of the one secret that this data key was made for."""
    nonce = os.urandom(NONCE_BYTES)
    return {
        "v": VERSION,
        "key_id": data_key.key_id,
        "wrapped_key": data_key.wrapped,
        "nonce": nonce,
        "commitment": commitment_of(data_key.raw),
        "ciphertext": AESGCM(data_key.raw).encrypt(nonce, secret.encode(), binding.additional_data()),
    }


def commitment_of(data_key: bytes) -> bytes:
    """What a data key is known by before anything is decrypted with it."""
    return HKDFExpand(SHA256(), 32, b"soundops-vault-commitment").derive(data_key)


async def unseal(ring: Unwraps, envelope: Any, binding: Binding | AccountBinding) -> str:
    """The secret. Raises `SealBroken`, whatever is wrong with the envelope, and `RingUnavailable`."""
    data_key = await unwrap_data_key(ring, envelope, binding)
    bound = binding.additional_data()
    try:
        return AESGCM(data_key).decrypt(_raw(envelope, "nonce"), _raw(envelope, "ciphertext"), bound).decode()
    except (KeyError, TypeError, ValueError, InvalidTag):
        raise SealBroken from None


async def unwrap_data_key(ring: Unwraps, envelope: Any, binding: Binding | AccountBinding) -> bytes:
    """The data key, which the envelope is committed to. Raises `SealBroken`, `RingUnavailable`."""
    try:
        if envelope["v"] != VERSION or not isinstance(envelope["key_id"], str):
            raise SealBroken
        data_key = await ring.unwrap(envelope["key_id"], _raw(envelope, "wrapped_key"), binding=binding)
        if not hmac.compare_digest(commitment_of(data_key), _raw(envelope, "commitment")):
            raise SealBroken
    except (KeyError, TypeError, ValueError, CannotUnwrap):
        raise SealBroken from None
    return data_key


def _raw(envelope: Any, name: str) -> bytes:
    value = envelope[name]
    if not isinstance(value, bytes):  # `bytes()` of a number would ask for that much memory
        raise SealBroken
    return value


def _with_lengths(*fields: str) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in (field.encode() for field in fields))

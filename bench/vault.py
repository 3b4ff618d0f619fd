"""Sealing and opening tokens, beside AES-256-GCM alone and beside AWS's own encryption SDK, in one process and one run.

Ours is a local ring: a data key a record, wrapped for an X25519 key (HPKE), and a commitment. The SDK wraps with an AES
key: with its raw AES keyring, and with the key provider that this has replaced. Its suite commits and does not sign.
"""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter
from typing import Any

import aws_encryption_sdk as sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput
from aws_encryption_sdk.identifiers import Algorithm, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.services.vault.data_keys import DataKeys
from app.services.vault.envelope import Binding, seal, unseal
from app.services.vault.private_ring import LocalPrivateRing
from app.services.vault.ring import Bound, LocalPublicRing
from bench.report import Row

RAW_GOAL, SDK_GOAL = 0.5, 3.0
ROUNDS, ROUND_S = 5, 0.4
NONCE_BYTES = 12
TOKEN = "IGAA" + "x" * 196
"""As long as Instagram's tokens are."""
ULID = "01kb5e6v9h3n8q2r7s4t1w0xyz"
BINDING = Binding(f"sec_{ULID}", f"lbl_{ULID}", f"con_{ULID}", "instagram", "access_token")
Once = Callable[[], Awaitable[object]]


class KeepsDataKeys:
    """A ring that has unwrapped it before, as that of AWS KMS keeps data keys for minutes."""

    def __init__(self, ring: LocalPrivateRing) -> None:
        self._ring, self._kept = ring, DataKeys()

    async def unwrap(self, key_id: str, wrapped: bytes, *, binding: Bound) -> bytes:
        """The data key."""
        name = hashlib.sha256(wrapped + binding.additional_data()).digest()
        return await self._kept.get(name, lambda: self._ring.unwrap(key_id, wrapped, binding=binding))


class OneKey(RawMasterKeyProvider):  # type: ignore[misc]  # the SDK has no types
    """The SDK's ring: one AES-256 key in memory."""

    provider_id = "bench"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self._key = os.urandom(32)

    def _get_raw_key(self, key_id: str) -> Any:
        return WrappingKey(WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, self._key, EncryptionKeyType.SYMMETRIC)


def measure_vault(*, quick: bool) -> list[Row]:
    """Seal and open, each beside both."""
    rates = asyncio.run(_rates(1 if quick else ROUNDS, 0.05 if quick else ROUND_S))
    rows = []
    for ours, name in (("seal", "seal"), ("open", "open"), ("open, key kept", "open")):
        for beside, goal in (("raw AES-GCM", RAW_GOAL), ("SDK's keyring", SDK_GOAL), ("SDK's old provider", SDK_GOAL)):
            value, ceiling = rates[ours] / 1000, rates[f"{beside} {name}"] / 1000
            rows.append(Row(f"vault {ours} / {beside}, 1000/s", value, ceiling, goal))
    return rows


async def _rates(rounds: int, round_s: float) -> dict[str, float]:
    """Of each, how many a second: the median of rounds that take turns."""
    subjects = {**await _ours(), **_raw(), **_sdk()}
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, once in subjects.items():
            found[name].append(await _per_s(once, round_s))
    return {name: median(rates) for name, rates in found.items()}


async def _per_s(once: Once, round_s: float) -> float:
    count, begun = 0, perf_counter()
    while (now := perf_counter()) - begun < round_s:
        for _ in range(20):
            await once()
        count += 20
    return count / (now - begun)


async def _ours() -> dict[str, Once]:
    private = X25519PrivateKey.generate()
    public_ring, ring = LocalPublicRing("k1", {"k1": private.public_key()}), LocalPrivateRing({"k1": private})
    envelope, keeps = await seal(public_ring, TOKEN, BINDING), KeepsDataKeys(ring)
    assert await unseal(keeps, envelope, BINDING) == TOKEN
    return {
        "seal": lambda: seal(public_ring, TOKEN, BINDING),
        "open": lambda: unseal(ring, envelope, BINDING),
        "open, key kept": lambda: unseal(keeps, envelope, BINDING),
    }


def _raw() -> dict[str, Once]:
    """One key for all, a fresh nonce each time, the same text and additional data."""
    cipher, text, bound, nonce = AESGCM(os.urandom(32)), TOKEN.encode(), BINDING.additional_data(), os.urandom(12)
    sealed = cipher.encrypt(nonce, text, bound)

    async def raw_seal() -> bytes:
        return cipher.encrypt(os.urandom(NONCE_BYTES), text, bound)

    async def raw_open() -> bytes:
        return cipher.decrypt(nonce, sealed, bound)

    return {"raw AES-GCM seal": raw_seal, "raw AES-GCM open": raw_open}


def _sdk() -> dict[str, Once]:
    providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
    keyring = providers.create_raw_aes_keyring(
        CreateRawAesKeyringInput(
            key_namespace="bench",
            key_name="k1",
            wrapping_key=os.urandom(32),
            wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
        )
    )
    provider = OneKey()
    provider.add_master_key("k1")
    return _sdk_with("SDK's keyring", keyring=keyring) | _sdk_with("SDK's old provider", key_provider=provider)


def _sdk_with(name: str, **ring: Any) -> dict[str, Once]:
    client, text, suite = sdk.EncryptionSDKClient(), TOKEN.encode(), Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    told = {"encryption_context": BINDING.context(), "algorithm": suite} | ring
    sealed, _ = client.encrypt(source=text, **told)
    assert client.decrypt(source=sealed, **ring)[0] == text

    async def sdk_seal() -> object:
        return client.encrypt(source=text, **told)

    async def sdk_open() -> object:
        return client.decrypt(source=sealed, **ring)

    return {f"{name} seal": sdk_seal, f"{name} open": sdk_open}

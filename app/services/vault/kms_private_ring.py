"""The half of the ring `aws-kms` that opens. For workers alone; their role in AWS may decrypt."""

import hashlib
from collections.abc import Sequence

from app.clients.kms import Kms, KmsRefused, KmsUnavailable
from app.services.vault.data_keys import DataKeys
from app.services.vault.private_ring import PrivateRing
from app.services.vault.ring import Bound, CannotUnwrap, RingUnavailable


class KmsPrivateRing:
    """Unwraps data keys with these keys of KMS, and no others that an envelope may name.

    With a local ring beside it, it also opens what was sealed before the move to KMS.
    """

    def __init__(self, kms: Kms, keys: Sequence[str], local: PrivateRing | None = None) -> None:
        self._kms, self._keys, self._local = kms, keys, local
        self._unwrapped = DataKeys()

    def key_ids(self) -> list[str]:
        """The keys that it opens with."""
        return sorted([*self._keys, *(self._local.key_ids() if self._local else [])])

    async def unwrap(self, key_id: str, wrapped: bytes, *, binding: Bound) -> bytes:
        """The data key, from KMS or as KMS gave it within the last minutes.

        Raises `CannotUnwrap`, `RingUnavailable`.
        """
        if key_id in self._keys:
            name = hashlib.sha256(
                key_id.encode() + b"\0" + hashlib.sha256(wrapped).digest() + binding.additional_data()
            )
            return await self._unwrapped.get(name.digest(), lambda: self._ask(key_id, wrapped, binding))
        if self._local:
            return await self._local.unwrap(key_id, wrapped, binding=binding)
        raise CannotUnwrap

    async def _ask(self, key_id: str, wrapped: bytes, binding: Bound) -> bytes:
        try:
            return await self._kms.decrypt(key_id, wrapped, context=binding.context())
        except KmsRefused as exc:
            raise CannotUnwrap from exc
        except KmsUnavailable as exc:
            raise RingUnavailable(str(exc)) from None

    async def close(self) -> None:
        """Close the connections, and forget the data keys."""
        self._unwrapped = DataKeys()
        await self._kms.close()

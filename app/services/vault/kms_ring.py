"""The half of the ring `aws-kms` that seals. The API's role in AWS may encrypt with these keys, and not decrypt."""

from app.clients.kms import Kms, KmsError
from app.services.vault.ring import Bound, Kind, RingUnavailable


class KmsPublicRing:
    """Wraps data keys under a key of KMS."""

    kind: Kind = "aws-kms"

    def __init__(self, kms: Kms, current: str) -> None:
        self.current = current
        self._kms = kms

    async def wrap(self, data_key: bytes, *, binding: Bound) -> tuple[str, bytes]:
        """The id of the key used, and the wrapped data key. Raises `RingUnavailable`."""
        try:
            return self.current, await self._kms.encrypt(self.current, data_key, context=binding.context())
        except KmsError as exc:
            raise RingUnavailable(str(exc)) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._kms.close()

"""AWS KMS: wrapping and unwrapping data keys of 32 bytes.

KmsError
├── KmsUnavailable   throttled, away, or we are not let in: it says nothing about what is wrapped; try again later
└── KmsRefused       this will not open: another context, another key, a changed byte, or a key that is gone

Credentials come as AWS's libraries find them (environment, instance or pod role). Source: other-services.md, section 2.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.clients.aws import Opening

READ_S = 3
NEVER_OPENS = ("InvalidCiphertextException", "IncorrectKeyException", "NotFoundException")
"""A disabled key, or one whose deletion is pending, can still be brought back: that is not among these."""


class KmsError(Exception):
    """A call that did not do what it should. Its text is AWS's code, never a key."""


class KmsUnavailable(KmsError):
    """It says nothing about what is wrapped: try again later."""


class KmsRefused(KmsError):
    """This will not open."""


class Kms:
    """One region's KMS; the connection is made with the first call."""

    def __init__(self, *, region: str, endpoint_url: str | None) -> None:
        self._aws = Opening("kms", read_s=READ_S, where={"region_name": region, "endpoint_url": endpoint_url})

    async def encrypt(self, key_id: str, data_key: bytes, *, context: Mapping[str, str]) -> bytes:
        """The wrapped data key. Raises `KmsError`."""
        answer = await self._call("encrypt", KeyId=key_id, Plaintext=data_key, EncryptionContext=dict(context))
        return bytes(answer["CiphertextBlob"])

    async def decrypt(self, key_id: str, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """The data key; with this key only, whatever key `wrapped` names. Raises `KmsError`."""
        answer = await self._call("decrypt", KeyId=key_id, CiphertextBlob=wrapped, EncryptionContext=dict(context))
        return bytes(answer["Plaintext"])

    async def close(self) -> None:
        """Close the connections."""
        await self._aws.close()

    async def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            client = await self._aws.client()
            return await getattr(client, operation)(**arguments)
        except ClientError as exc:
            code = str(exc.response.get("Error", {}).get("Code", "unknown"))
            raise (KmsRefused if code in NEVER_OPENS else KmsUnavailable)(code) from None
        except (BotoCoreError, OSError, TimeoutError) as exc:
            raise KmsUnavailable(type(exc).__name__) from None

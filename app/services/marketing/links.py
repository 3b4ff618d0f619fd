"""The link in a marketing mail that ends such mails: sealed, good for ever, and nothing is stored for it.

It holds whom the mail went to (the account's id) and the mark of the address on the list of suppressed ones, so that it
works, too, when the account has another address by now, or is gone. It begins as the tokens of mails do, which the logs
mask.
"""

import base64
import hashlib
import hmac
from binascii import Error
from dataclasses import dataclass

PURPOSE = "unsubscribe links"
"""What the key is derived for."""
PREFIX = "sot_"
MARK_BYTES, SEAL_BYTES = 32, 16


@dataclass(frozen=True)
class Recipient:
    """Whom a mail went to."""

    user_id: str
    mark: str
    """Of the address: `suppression.mark_of`."""


def token_of(key: bytes, recipient: Recipient) -> str:
    """The token for the links of this recipient's mails."""
    body = recipient.user_id.encode() + bytes.fromhex(recipient.mark)
    return PREFIX + base64.urlsafe_b64encode(body + _seal(key, body)).rstrip(b"=").decode()


def recipient_of(key: bytes, token: str) -> Recipient | None:
    """Whom this token is for; none for one that we did not give."""
    if not token.startswith(PREFIX):
        return None
    text = token.removeprefix(PREFIX)
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (Error, UnicodeEncodeError):
        return None
    body, seal = raw[:-SEAL_BYTES], raw[-SEAL_BYTES:]
    if len(body) <= MARK_BYTES or not hmac.compare_digest(seal, _seal(key, body)):
        return None
    return Recipient(body[:-MARK_BYTES].decode(), body[-MARK_BYTES:].hex())


def _seal(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:SEAL_BYTES]

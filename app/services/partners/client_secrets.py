"""The secrets of API clients: how they look, and how one is known again. Only their hashes are stored.

A secret is `sok_`, 40 random characters (238 bits) and 6 of checksum, as GitHub's tokens are built ("Behind GitHub's
new authentication token formats", 2021-04-05): a scanner knows one when it sees it, and a typing error is found
without asking anybody. So many random bits need no slow hash: there is nothing to guess.
"""

import hashlib
import hmac
import secrets
import string
import zlib
from datetime import datetime, timedelta

from app.db import Doc
from app.ids import new_id

PREFIX = "sok_"
RANDOM, CHECKSUM = 40, 6
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
LIVE_AT_MOST = 2
"""One in use and one to change over to."""
NOBODYS = hashlib.sha256(b"nobody's").hexdigest()
"""Compared with where there is no hash, so that an unknown client costs what a known one does."""


def make(user_id: str, *, life: timedelta, now: datetime) -> tuple[str, Doc]:
    """A new secret, and what is stored of it. It is the responsibility of the person who makes it."""
    text = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
    secret = text + _checksum(text)
    key: Doc = {
        "id": new_id("key"),
        "digest": _digest(secret),
        "hint": secret[-4:],
        "created_at": now,
        "expires_at": now + life,
        "last_used_at": None,
        "created_by": user_id,
    }
    return secret, key


def is_well_formed(secret: str) -> bool:
    """Whether this can be a secret of ours: its form and its checksum are right."""
    text, checksum = secret[:-CHECKSUM], secret[-CHECKSUM:]
    return (
        secret.isascii()
        and len(secret) == len(PREFIX) + RANDOM + CHECKSUM
        and secret.startswith(PREFIX)
        and _checksum(text) == checksum
    )


def match(keys: list[Doc], secret: str) -> Doc | None:
    """The one of a client's keys whose secret this is, or none. It takes the same time for any, also for no keys."""
    digest, found = _digest(secret), None
    for key in [*keys, *[{"digest": NOBODYS}] * (LIVE_AT_MOST - len(keys))]:
        if hmac.compare_digest(key["digest"], digest):
            found = key
    return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits

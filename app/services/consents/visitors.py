"""The visitor's cookie: a random id and its seal. It is made when somebody consents, and never before."""

import hashlib
import hmac

from app.ids import new_id

PURPOSE = "visitors"
"""What the key is derived for."""


def new_visitor(key: bytes) -> tuple[str, str]:
    """The id of somebody who has just consented, and the cookie that holds it."""
    visitor_id = new_id("vis")
    return visitor_id, f"{visitor_id}.{_seal(key, visitor_id)}"


def visitor_of(key: bytes, cookie: str | None) -> str | None:
    """The id in a cookie of ours; none for no cookie, and for any other."""
    visitor_id, _, seal = (cookie or "").partition(".")
    right = hmac.compare_digest(seal.encode(), _seal(key, visitor_id).encode())
    return visitor_id if right and visitor_id.startswith("vis_") else None


def _seal(key: bytes, visitor_id: str) -> str:
    return hmac.new(key, visitor_id.encode(), hashlib.sha256).hexdigest()[:32]

"""Known devices: a browser that has logged in to an account before says so by a cookie that means nothing elsewhere.

Guesses from unknown devices have a limit of their own, so whoever tries passwords cannot lock the owner's own browser
out (OWASP, "Device cookies"). A new password makes all devices unknown.
"""

import hashlib
import hmac
import secrets

from app.clock import to_ms
from app.db import Doc


def mark(key: bytes, user: Doc) -> str:
    """A cookie for a browser that has just logged in to this account."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_mac(key, nonce, user)}"


def known(key: bytes, user: Doc, cookie: str | None) -> str | None:
    """Which known device of this account it is, or none."""
    nonce, _, mac = (cookie or "").partition(".")
    return nonce if mac and hmac.compare_digest(mac.encode(), _mac(key, nonce, user).encode()) else None


def _mac(key: bytes, nonce: str, user: Doc) -> str:
    bound = f"{nonce}\0{user['_id']}\0{to_ms(user['password_changed_at'])}"
    return hmac.new(key, bound.encode(), hashlib.sha256).hexdigest()

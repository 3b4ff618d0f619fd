"""Keys derived from our own secret, for the API and the workers alike."""

import hashlib

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.settings import Settings


def derive(settings: Settings, purpose: str) -> bytes:
    """A key of its own for each purpose."""
    secret = hashlib.sha256(settings.secret_key.get_secret_value().encode()).digest()
    return HKDF(SHA256(), 32, salt=None, info=f"soundops {purpose}".encode()).derive(secret)

"""PKCE (RFC 7636): proof that who redeems an authorization code also asked for it."""

import hashlib
import secrets
from base64 import urlsafe_b64encode


def new_verifier() -> str:
    """A secret of 86 URL-safe characters (512 bits); RFC 7636, section 4.1, wants 43 to 128."""
    return secrets.token_urlsafe(64)


def challenge_of(verifier: str) -> str:
    """The S256 challenge that may be shown: base64url of the SHA-256, 43 characters, no padding (section 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")

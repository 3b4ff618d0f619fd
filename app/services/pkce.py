"""PKCE (RFC 7636): proof that who redeems an authorization code also asked for it."""

import hashlib
import hmac
from base64 import urlsafe_b64encode


def verifier_of(key: bytes, state: str) -> str:
    """The verifier of the log-in with this `state`: made anew from it, so that nobody has to keep it.

    43 URL-safe characters (256 bits); RFC 7636, section 4.1, wants 43 to 128.
    """
    return _text(hmac.digest(key, state.encode(), "sha256"))


def challenge_of(verifier: str) -> str:
    """The S256 challenge that may be shown: base64url of the SHA-256, 43 characters, no padding (section 4.2)."""
    return _text(hashlib.sha256(verifier.encode()).digest())


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")

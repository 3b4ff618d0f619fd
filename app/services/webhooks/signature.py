"""Who sent a webhook: HMAC-SHA256 over the raw bytes, keyed with an app secret (Meta, Webhooks, 2026-02)."""

import hashlib
import hmac
import re
from collections.abc import Sequence

_HEADER = re.compile(rb"sha256=([0-9a-f]{64})")


def is_signed(body: bytes, headers: Sequence[bytes], secrets: Sequence[bytes]) -> bool:
    """Whether exactly one signature header is there, and one of our secrets made it.

    Every secret is tried, so that the time tells nothing.
    """
    found = _HEADER.fullmatch(headers[0]) if len(headers) == 1 else None
    given = found[1] if found else b""
    results = [
        hmac.compare_digest(hmac.new(secret, body, hashlib.sha256).hexdigest().encode(), given) for secret in secrets
    ]
    return any(results)

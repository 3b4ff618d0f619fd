"""Who sent a webhook: `Stripe-Signature`, HMAC-SHA256 over the raw bytes with a time in it.

The SDK's own check takes stamps of the future, raises half a dozen kinds of errors, and needs text: stripe.md, 4.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

WINDOW = timedelta(seconds=300)
"""So far a stamp may be from our time, on either side. Stripe stamps each delivery anew, late ones too."""
LONGEST, MOST_SIGNATURES = 4096, 16
_STAMP = re.compile(rb"[0-9]{1,12}")
_SIGNATURE = re.compile(rb"[0-9a-f]{64}")


def is_signed(body: bytes, headers: Sequence[bytes], secrets: Sequence[bytes], *, now: datetime) -> bool:
    """Whether exactly one header is there, stamped within the window, and one of our secrets made one of its `v1`.

    Every secret and every signature is tried, so that the time tells nothing.
    """
    stamp, signatures = _parsed(headers[0]) if len(headers) == 1 else (None, [])
    if stamp is None or not signatures:
        return False
    text = stamp + b"." + body
    made = [hmac.new(secret, text, hashlib.sha256).hexdigest().encode() for secret in secrets]
    results = [hmac.compare_digest(ours, theirs) for ours in made for theirs in signatures]
    return any(results) and abs(int(stamp) - now.timestamp()) <= WINDOW.total_seconds()


def _parsed(header: bytes) -> tuple[bytes | None, list[bytes]]:
    """The stamp and the `v1` signatures; no stamp for what is not of the form. Other schemes are passed over."""
    if len(header) > LONGEST:
        return None, []
    items = [item.partition(b"=") for item in header.split(b",")]
    stamps = [value for name, _, value in items if name == b"t"]
    signatures = [value for name, _, value in items if name == b"v1"]
    if len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]) or len(signatures) > MOST_SIGNATURES:
        return None, []
    return stamps[0], [one for one in signatures if _SIGNATURE.fullmatch(one)]

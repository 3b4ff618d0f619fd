"""How Meta writes and signs a webhook. Source: meta-platform.md, section 2.3."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any


def wire_json(document: Any) -> bytes:
    r"""The bytes Meta puts on the wire: compact, non-ASCII as lower-case `\uXXXX`, each slash as `\/`."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def sign(secret: str, body: bytes) -> dict[str, str]:
    """Both signature headers over exactly these bytes."""
    key = secret.encode()
    return {
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest(),
        "X-Hub-Signature": "sha1=" + hmac.new(key, body, hashlib.sha1).hexdigest(),
    }


def signed_request(secret: str, payload: dict[str, Any]) -> str:
    """A `signed_request` as the deauthorize and data-deletion callbacks carry it (section 1.6)."""
    text = _unpadded(json.dumps(payload, separators=(",", ":")).encode())
    return f"{_unpadded(hmac.digest(secret.encode(), text.encode(), 'sha256'))}.{text}"


def _unpadded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

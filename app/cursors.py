"""Cursors: opaque, signed, and good only for the list (label and filters) that gave them."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from app.clock import from_ms, to_ms
from app.errors import InvalidCursor
from app.models.base import Doc

SIGNATURE_BYTES = 12


def encode(key: bytes, place: str, values: list[Any]) -> str:
    """A cursor that continues the list `place` after these values."""
    body = json.dumps([_plain(value) for value in values], separators=(",", ":")).encode()
    return _text(_signature(key, place, body) + body)


def decode(key: bytes, place: str, cursor: str) -> list[Any]:
    """The values. Raises `InvalidCursor`."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if _text(raw) != cursor:  # other ways to write the same bytes are not ours
            raise InvalidCursor
        signature, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _signature(key, place, body)):
            raise InvalidCursor
        values: list[Any] = json.loads(body)
    except ValueError as exc:
        raise InvalidCursor from exc
    return values


def decode_time_and_id(key: bytes, place: str, cursor: str | None) -> tuple[datetime, str] | None:
    """A cursor of an instant and an id; none for none. Raises `InvalidCursor`."""
    if cursor is None:
        return None
    ms, body = decode(key, place, cursor)
    return from_ms(ms), str(body)


def decode_id(key: bytes, place: str, cursor: str | None) -> str | None:
    """A cursor of an id; none for none. Raises `InvalidCursor`."""
    return None if cursor is None else str(decode(key, place, cursor)[0])


def cut(key: bytes, place: str, found: list[Doc], sorted_by: list[str], *, limit: int) -> tuple[list[Doc], str | None]:
    """The page, and the cursor of the next one if more than `limit` were found."""
    page = found[:limit]
    if len(found) <= limit:
        return page, None
    return page, encode(key, place, [page[-1][field] for field in sorted_by])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _plain(value: Any) -> Any:
    return to_ms(value) if isinstance(value, datetime) else value


def _signature(key: bytes, place: str, body: bytes) -> bytes:
    return hmac.new(key, place.encode() + b"\0" + body, hashlib.sha256).digest()[:SIGNATURE_BYTES]

"""Reading what providers answer: what is as documented and within bounds is taken, and nothing else.

Each function answers none for what is not: the client decides whether it can do without it.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

LONGEST_TEXT, LONGEST_NAME, LONGEST_ID, LONGEST_ADDRESS = 10_000, 200, 100, 2_000
LONGEST_LIFE = timedelta(days=3650)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
MOST_WORDS = 500
_DIGITS = re.compile(r"[0-9]{1,15}")


def text(value: Any, *, most: int = LONGEST_TEXT) -> str | None:
    """A text that is not empty, and not longer than `most`, as it is."""
    return value if isinstance(value, str) and 0 < len(value) <= most and _is_unicode(value) else None


def name(value: Any) -> str | None:
    """A line to show somebody, cut at 200 characters."""
    if not isinstance(value, str):
        return None
    line = " ".join(value[: LONGEST_NAME * 10].encode(errors="ignore").decode().split())
    return "".join(sign for sign in line if sign.isprintable() or sign == "\u200d")[:LONGEST_NAME] or None


def identifier(value: Any) -> str | None:
    """An id: some come as numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value < 2**63 else None
    return text(value, most=LONGEST_ID)


def https_address(value: Any) -> str | None:
    """An address that a browser may load a picture from."""
    found = text(value, most=LONGEST_ADDRESS)
    return found if found and found.startswith("https://") and found.isprintable() else None


def whole(value: Any) -> int | None:
    """A whole number that is not negative; some come as texts."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def seconds(value: Any, *, most: timedelta = LONGEST_LIFE) -> timedelta | None:
    """How long something lives, in seconds: not no time, and ten years at most."""
    count = whole(value)
    return timedelta(seconds=count) if count and count <= most.total_seconds() else None


def instant(value: Any) -> datetime | None:
    """A time in seconds since 1970, of this century."""
    count = whole(value)
    return datetime.fromtimestamp(count, UTC) if count and count < LATEST.timestamp() else None


def table(value: Any) -> dict[str, Any] | None:
    """A JSON object."""
    return value if isinstance(value, dict) else None


def rows(value: Any) -> list[dict[str, Any]] | None:
    """A list's JSON objects: Spotify has null where something was taken away."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else None


def words(value: Any) -> list[str] | None:
    """A list's short texts, as scopes, tasks and fields are."""
    if not isinstance(value, list):
        return None
    return [word for one in value[:MOST_WORDS] if (word := text(one, most=LONGEST_ID))]


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair: JSON may hold one, our store may not
        return False
    return True

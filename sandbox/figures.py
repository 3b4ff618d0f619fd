"""Made-up figures: the same for the same account or media, metric and day, whoever asks and whenever."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

PACIFIC = ZoneInfo("America/Los_Angeles")
"""Meta's days end at midnight there (section 6.1)."""
DAY = timedelta(days=1)
HALF_LIFE_MS = 24 * 3_600_000
"""After so long a media has half of what it will reach."""


def of_day(node: str, metric: str, day: date) -> int:
    """What an account or Page did on a day: 20 to 219."""
    return 20 + _digest(node, metric, day.isoformat()) % 200


def of_age(node: str, metric: str, age_ms: int) -> int:
    """What a media has reached at this age: up to 100 to 4,099, fast at first."""
    most = 100 + _digest(node, metric) % 4000
    left: float = 0.5 ** (max(age_ms, 0) / HALF_LIFE_MS)
    return round(most * (1 - left))


def split(total: int, names: Sequence[str]) -> dict[str, int]:
    """The total in parts, each about half of what is left."""
    parts: dict[str, int] = {}
    for name in names[:-1]:
        parts[name] = (total - sum(parts.values())) // 2
    return parts | {names[-1]: total - sum(parts.values())}


def begin_ms(day: date) -> int:
    """When the day begins at Meta."""
    return int(datetime.combine(day, time(), PACIFIC).timestamp() * 1000)


def days_between(since_ms: int, until_ms: int) -> list[date]:
    """The days that begin in this time."""
    day = datetime.fromtimestamp(since_ms / 1000, UTC).astimezone(PACIFIC).date()
    found = []
    while begin_ms(day) < until_ms:
        if begin_ms(day) >= since_ms:
            found.append(day)
        day += DAY
    return found


def today(now_ms: int) -> date:
    """The day that it is at Meta."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(PACIFIC).date()


def _digest(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:6])

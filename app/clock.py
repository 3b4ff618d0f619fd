"""The time, in one place, so that tests and drills can move it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Clock = Callable[[], datetime]
"""Gives the present instant: aware, UTC, whole milliseconds (what BSON keeps)."""


def utc_now() -> datetime:
    """The system's time."""
    return whole_ms(datetime.now(UTC))


def shifted(offset: timedelta) -> Clock:
    """A clock that runs `offset` beside the system's."""
    return lambda: whole_ms(datetime.now(UTC) + offset)


def whole_ms(at: datetime) -> datetime:
    """The same instant without what BSON would cut off."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def to_ms(at: datetime) -> int:
    """An instant as milliseconds since 1970; a float on the way would lose one here and there."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    """Milliseconds since 1970 as an instant. Raises `OverflowError` or `ValueError` outside the calendar."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)

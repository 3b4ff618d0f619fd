"""Reading an account's days: those that may still change, and those that are missing."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from app.clients.graph_insights import DAYS_A_CALL, Told, begin_of, today
from app.db import Doc
from app.models.insight_metrics import INSTAGRAM_ACCOUNT, INSTAGRAM_NOW, INSTAGRAM_SERIES, PAGE, Table
from app.services.insights import store
from app.services.insights.look import Look

BACK_AT_FIRST = timedelta(days=30)
"""So far back a new account is read."""
GAPS = timedelta(days=90)
"""So far back a gap is looked for."""
LAG = timedelta(hours=48)
"""So late Meta's figures of a day may come."""
GIVEN_UP = timedelta(days=7)
"""A figure that failed for so long is not asked for any more."""
AGAIN = timedelta(hours=20)
"""What is not settled is read once a day."""
AUDIENCE_EVERY = timedelta(days=7)
DAY = timedelta(days=1)


async def read_days(look: Look) -> bool:
    """Read the days that are due; whether none is left. Raises as `Look.read`."""
    yesterday = today(look.now) - DAY
    first = max(yesterday - GAPS, today(look.connection["created_at"]) - BACK_AT_FIRST)
    there = {
        date.fromisoformat(doc["day"]): doc for doc in await store.read_days(look.db, look.connection, since=first)
    }
    days = [yesterday - n * DAY for n in range((yesterday - first).days + 1)]
    wanted = [day for day in days if _is_due(there.get(day), look.now)]
    if look.connection["network"] == "facebook":
        return await _page(look, wanted)
    has_audience = any(doc.get("audience") and day > yesterday - AUDIENCE_EVERY for day, doc in there.items())
    if not has_audience and not await _audience(look, yesterday):
        return False
    series = await _series(look, wanted)
    for day in wanted:
        if not look.may_read():
            return False
        told = await look.read(INSTAGRAM_ACCOUNT, look.at.account_id, first=day, last=day)
        await _keep(look, day, {INSTAGRAM_ACCOUNT: told, INSTAGRAM_SERIES: series.get(day, {})})
    return True


def _is_due(doc: Doc | None, now: datetime) -> bool:
    if doc is None or doc.get("read_at") is None:
        return True
    return not doc.get("settled") and now - doc["read_at"] >= AGAIN


async def _audience(look: Look, day: date) -> bool:
    """Who follows, as it stands now: kept with the last whole day. Whether it was in the budget."""
    if not look.may_read():
        return False
    told = await look.read(INSTAGRAM_NOW, look.at.account_id)
    readings = look.readings(INSTAGRAM_NOW, told, settled=True)
    await store.record_audience(look.db, look.connection, day, readings)
    return True


async def _series(look: Look, wanted: list[date]) -> dict[date, dict[str, Told]]:
    """What is told as a series, by the day: of the last 30 days alone."""
    recent = [day for day in wanted if day > today(look.now) - DAYS_A_CALL * DAY]
    if not recent or not look.may_read():
        return {}
    told = await look.read(INSTAGRAM_SERIES, look.at.account_id, first=min(recent), last=max(recent))
    return {day: _of_day(told, day) for day in recent}


def _of_day(told: Mapping[str, Told], day: date) -> dict[str, Told]:
    """What these series tell of one day: none of a day that they leave out."""
    found = {}
    for name, one in told.items():
        figures = tuple(figure for figure in one.figures if figure.day == day)
        found[name] = Told(figures, None if figures else one.lack or "no_data")
    return found


async def _page(look: Look, wanted: list[date]) -> bool:
    """A Page's days come as series, up to 30 a call."""
    while wanted:
        if not look.may_read():
            return False
        some = [day for day in wanted if day > wanted[0] - DAYS_A_CALL * DAY]
        wanted = wanted[len(some) :]
        told = await look.read(PAGE, look.at.account_id, first=min(some), last=max(some))
        for day in some:
            await _keep(look, day, {PAGE: _of_day(told, day)})
    return True


async def _keep(look: Look, day: date, tables: Mapping[Table, Mapping[str, Told]]) -> None:
    """Store a day. It is settled when Meta's figures cannot come later, and none failed that may come yet."""
    age = look.now - begin_of(day + DAY)
    late = age >= LAG
    readings: dict[str, Doc] = {}
    for table, told in tables.items():
        readings |= look.readings(table, told, settled=late)
    failed = any(one["reason"] == "provider_error" for one in readings.values())
    settled = late and (not failed or age >= GIVEN_UP)
    await store.record_day(look.db, look.connection, day, readings, settled=settled, now=look.now)
    look.found["days"] += 1

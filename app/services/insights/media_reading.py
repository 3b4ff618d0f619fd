"""Reading what an account has posted, and the figures of it: the newer it is, the more often."""

from datetime import datetime, timedelta

from app.clients import graph_insights as meta
from app.clients.graph_errors import Refused
from app.clients.graph_insights import Listed, today
from app.db import Doc
from app.models.data_map import INSIGHTS_LIFE
from app.models.insight_metrics import MEDIA
from app.services.connections import store as connections
from app.services.insights import store
from app.services.insights.look import Look

MOST_PAGES = 20
"""Of 100 each: more than a label posts in 24 months."""
A_STORY = timedelta(hours=24)
"""Meta has a story's figures no longer."""
EACH_LOOK, DAILY = timedelta(hours=5), timedelta(hours=20)
READ_EVERY: tuple[tuple[timedelta, timedelta], ...] = (
    (timedelta(days=1), EACH_LOOK),
    (timedelta(days=30), DAILY),
    (timedelta(days=180), timedelta(days=7)),
    (INSIGHTS_LIFE, timedelta(days=30)),
)
"""Up to which age a media is read how often."""
AT_ONCE = 60


async def list_new(look: Look) -> None:
    """Add what the account has posted since the last look; at first, all of it. Raises any `GraphError`."""
    noted = look.connection.get("insights_listed_at")
    if noted and noted >= look.asked_at:
        return
    if look.connection["network"] == "instagram" and look.may_read():
        await _add(look, await meta.stories_of(look.at))
    after = None
    for _ in range(MOST_PAGES):
        if not look.may_read():
            return
        shown = await (meta.posts_of if look.connection["network"] == "facebook" else meta.media_of)(
            look.at, after=after
        )
        new = await _add(look, shown)
        after = shown.after
        oldest = min((one.posted_at for one in shown.media), default=look.now)
        if after is None or oldest <= look.now - INSIGHTS_LIFE or (noted and new == 0):
            break
    await connections.note(look.db, look.connection, {"insights_listed_at": look.now})


async def _add(look: Look, shown: Listed) -> int:
    new = await store.record_media(look.db, look.connection, shown.media, now=look.now)
    look.found["media"] += new
    return new


async def read_due(look: Look, *, product: str | None = None) -> bool:
    """Read the figures of what is due, or of one kind of it; whether none is left. Raises any `GraphError`."""
    found = await store.due_media(look.db, look.connection, product=product, now=look.now, limit=AT_ONCE)
    for media in found:
        if not look.may_read():
            return False
        await _read(look, media)
    return len(found) < AT_ONCE


async def _read(look: Look, media: Doc) -> None:
    table = MEDIA.get(media["product"])
    due_at = _next(media, look.now)
    if table is None or (media["product"] == "STORY" and look.now - media["posted_at"] >= A_STORY):
        await store.record_figures(look.db, media, today(look.now), {}, due_at=None, now=look.now)
        return
    try:
        told = await look.read(table, media["provider_id"])
    except Refused as exc:
        if exc.reason != "not_found" or not await look.can_read():
            raise
        await store.mark_gone(look.db, media, now=look.now)
        return
    readings = look.readings(table, told, settled=True)
    if all(one["reason"] == "before_professional" for one in readings.values()):
        due_at = None
    await store.record_figures(look.db, media, today(look.now), readings, due_at=due_at, now=look.now)
    look.found["figures"] += 1


def _next(media: Doc, now: datetime) -> datetime | None:
    """When it is to be read again; a story at each look, and once more at the end of its day."""
    age = now - media["posted_at"]
    if media["product"] == "STORY":
        last = media["posted_at"] + A_STORY - timedelta(minutes=30)
        return now + EACH_LOOK if now + EACH_LOOK < last else max(last, now + timedelta(minutes=10))
    every = next((every for most, every in READ_EVERY if age < most), None)
    return now + every if every else None

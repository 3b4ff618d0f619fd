"""What becomes due on connections by the time alone: refreshes, checks, repairs, warnings, unfinished log-ins.

Any number of workers may do it at once: each change is a compare-and-set, and an operation's key is unique.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from app.clock import Clock
from app.db import ALL_LABELS, Database, Doc, Session
from app.models.base import rfc3339
from app.services.audit import SYSTEM, Audit
from app.services.connections import backfill, looks, planning, store
from app.services.connections.reauth import mail_managers, require_login
from app.services.connections.refreshing import ask
from app.services.connections.schedule import next_warning, warning_due
from app.services.events import Event, append

AT_ONCE = 200
ASKED_AGAIN = timedelta(hours=6)
"""When a refresh that was asked for is looked at again; one that was done has a later date of its own."""


async def tend(db: Database, audit: Audit, *, clock: Clock) -> None:
    """Do all that is due."""

    async def ask_for_refresh(connection: Doc) -> None:
        await _ask_for_refresh(db, connection, now=clock())

    async def warn(connection: Doc) -> None:
        await _warn(db, audit, connection, now=clock())

    async def abandon(connection: Doc) -> None:
        await _abandon(db, audit, connection, now=clock())

    async def check(connection: Doc) -> None:
        await planning.plan(db, connection, now=clock())

    async def repair(connection: Doc) -> None:
        await backfill.plan(db, connection, now=clock())

    await _each_due(db, "refresh_at", ("active",), ask_for_refresh, now=clock())
    await _each_due(db, "warn_at", ("active",), warn, now=clock())
    await _each_due(db, "abandon_at", ("pending",), abandon, now=clock())

    async def look_at_comments(connection: Doc) -> None:
        await looks.plan(db, connection, looks.COMMENTS, now=clock())

    await _each_due(db, "check_at", store.CONNECTED, check, now=clock())
    await _each_due(db, "repair_at", ("active",), repair, now=clock())
    await _each_due(db, "comments_at", store.CONNECTED, look_at_comments, now=clock())

    async def read_insights(connection: Doc) -> None:
        await looks.plan(db, connection, looks.INSIGHTS, now=clock())

    await _each_due(db, "insights_at", store.CONNECTED, read_insights, now=clock())


async def _each_due(
    db: Database, field: str, states: tuple[str, ...], work: Callable[[Doc], Awaitable[None]], *, now: datetime
) -> None:
    """Do this with each connection whose time has come; what it is due for it must not be due for afterwards."""
    query = {field: {"$lte": now}, "status": {"$in": list(states)}}
    comment = f"{ALL_LABELS}connections whose {field} has come"
    while True:
        found = await db.open("connections").find(query, comment=comment).sort(field, 1).limit(AT_ONCE).to_list()
        for connection in random.sample(found, len(found)):  # several workers do not go hand in hand
            await work(connection)
        if len(found) < AT_ONCE:
            return


async def _ask_for_refresh(db: Database, connection: Doc, *, now: datetime) -> None:
    await ask(db, connection, now=now)
    await db.open("connections").update_one(
        _still(connection, "refresh_at"), {"$set": {"refresh_at": now + ASKED_AGAIN}}
    )


async def _warn(db: Database, audit: Audit, connection: Doc, *, now: datetime) -> None:
    """Send the most urgent warning whose time has come, and no other; at the end have its owner log in again.

    A Page's token may outlive its person's log-in, so that for Facebook only the provider says when it is over.
    """
    ends_at = connection["access_ends_at"]
    if ends_at <= now and connection["provider"] != "facebook":
        await require_login(db, audit, connection, "access_ended", now=now)
        return
    days = warning_due(ends_at, now)

    async def once(session: Session) -> None:
        update = {"$set": {"warn_at": next_warning(ends_at, now)}}
        moved = await db.open("connections").update_one(_still(connection, "warn_at"), update, session=session)
        if moved.modified_count == 0 or days is None:
            return
        told = {"left": f"{days} days" if days > 1 else "1 day", "on": rfc3339(ends_at)[:10]}
        await mail_managers(db, "connection_expiring", connection, now=now, session=session, **told)
        label_id, connection_id = connection["label_id"], connection["_id"]
        key = f"connection:{connection_id}:expiring:{rfc3339(ends_at)}:{days}"
        await append(db, [Event(label_id, key, "connection.expiring", connection_id, now)], session=session)

    await db.in_transaction(once)


async def _abandon(db: Database, audit: Audit, connection: Doc, *, now: datetime) -> None:
    """End a log-in that nobody finished."""
    await store.end_log_in(db, audit, connection, problem="abandoned", by=SYSTEM, now=now)


def _still(connection: Doc, field: str) -> Doc:
    return {name: connection[name] for name in ("_id", "label_id", field)}

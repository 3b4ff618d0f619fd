"""Noting usage, after a consent and never without. A withdrawal deletes it again: `forgetting.py`.

An event is `{_id: use_…, subject: usr_… | vis_…, consent_seq, batch: ubt_…, at, month, kind, name, browser, system,
expires_at}`, and `forward` while it waits to be passed on. Of addresses nothing is kept, not even truncated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.db import Database, Doc, Session
from app.ids import new_id
from app.models.usage import UsageEvent
from app.services import operations
from app.services.consents import ledger
from app.services.usage import agents
from app.services.usage.months import end_of, month_of


@dataclass(frozen=True)
class Noted:
    """What was noted; and the operation that passes it on, if that is done here."""

    operation_id: str | None


async def note(
    db: Database, subject: str, events: Sequence[UsageEvent], *, agent: str, forwards: bool, now: datetime
) -> Noted | None:
    """Note what this person or visitor has seen and used; none where they do not consent, and nothing is stored."""
    month, batch = month_of(now), new_id("ubt")
    shared: Doc = {
        "subject": subject,
        "batch": batch,
        "at": now,
        "month": month,
        "browser": agents.browser_of(agent),
        "system": agents.system_of(agent),
        "expires_at": end_of(month),
    }
    shared |= {"forward": "queued"} if forwards else {}

    async def all_of_it(session: Session) -> Noted | None:
        consent = await ledger.may(db, subject, "analytics", now=now, session=session)
        if consent is None:
            return None
        rows = [
            {"_id": new_id("use"), "kind": event.kind, "name": event.name, "consent_seq": consent["seq"]} | shared
            for event in events
        ]
        await db.open("usage_events").insert_many(rows, session=session)
        return Noted(await _pass_on(db, batch, now=now, session=session) if forwards else None)

    return await db.in_transaction(all_of_it)


async def _pass_on(db: Database, batch: str, *, now: datetime, session: Session) -> str:
    operation = await operations.add(
        db,
        label_id=None,
        kind="forward_usage",
        target=batch,
        key=f"forward_usage:{batch}",
        now=now,
        life=operations.SHORT_LIFE,
        session=session,
    )
    return str(operation["_id"])

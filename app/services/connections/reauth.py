"""A connection whose owner must log in again: said once, with a mail to everyone who can see to it."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.models.base import rfc3339
from app.services.audit import SYSTEM, Audit
from app.services.connections import store
from app.services.events import Event, append
from app.services.labels import members
from app.services.mail.outbox import Template

PROVIDERS = {"instagram": "Instagram", "facebook": "Facebook", "spotify": "Spotify"}


async def require_login(db: Database, audit: Audit, connection: Doc, problem: str, *, now: datetime) -> bool:
    """Have the connection wait for a new log-in, with its event, audit row and mails; whether it was this call.

    Nothing of it is deleted: no secret, and nothing that came from the account.
    """
    label_id, connection_id = connection["label_id"], connection["_id"]

    async def tell(session: Session) -> None:
        key = f"connection:{connection_id}:needs_reauth:{rfc3339(now)}"
        await append(db, [Event(label_id, key, "connection.changed", connection_id, now)], session=session)
        await mail_managers(db, "connection_needs_login", connection, now=now, session=session)

    return await store.mark(
        db, audit, connection, status="needs_reauth", problem=problem, by=SYSTEM, now=now, also=tell
    )


async def mail_managers(
    db: Database, template: Template, connection: Doc, *, now: datetime, session: Session, **facts: str
) -> None:
    """Send a mail about the connection to the label's owners and admins."""
    label = await db.open("labels").find_one({"_id": connection["label_id"]}, session=session)
    if label is None:
        return
    account = connection["account"]
    told = {"provider": PROVIDERS[connection["provider"]], "account": account["username"]}
    told |= {"connection_id": connection["_id"], "label_id": connection["label_id"]} | facts
    for manager in await members.managers(db, label["_id"], session=session):
        await members.tell(db, template, manager["user_id"], label, now=now, session=session, **told)
